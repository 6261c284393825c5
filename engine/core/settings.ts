import { WinnowError } from '../../core/errors.js';
import type {
  Budget,
  Declaration,
  Hooks,
  Method,
  ModelFacts,
  Need,
  Profile,
  Protocol,
  Setting,
} from '../../methods/contract.js';
import { parseParams } from '../../methods/params.js';
import type { MethodRef, SettingRequest } from '../contract.js';
import { columnReduceCode, reducedElsewhere } from './column-stats.js';
import type { Profiles } from './profiles.js';

/** A method with checked parameters, before any budget is known. */
export interface BoundMethod {
  readonly method: Method;
  readonly params: object;
  readonly profile?: Profile;
  /** Settings with equal identity share scores and hook calls. */
  readonly identity: string;
}

export type ResolveMethod = (ref: MethodRef) => Promise<Method>;

/** Without `profiles` (when only facts about a method are asked for) a profile is neither read nor missed. */
export const bindMethod = async (
  ref: MethodRef,
  resolve: ResolveMethod,
  profiles?: Pick<Profiles, 'open'>,
): Promise<BoundMethod> => {
  const method = await resolve(ref);
  const params = parseParams(method, ref.params);
  const identity = JSON.stringify([method.id, ref.file ?? '', ref.profile ?? '', params]);
  if (profiles === undefined) return { method, params, identity };
  if (ref.profile !== undefined)
    return { method, params, identity, profile: profiles.open(ref.profile, method, params) };
  if (method.training === 'calibration')
    throw new WinnowError(
      'ERR_USAGE',
      `${method.id}.profile`,
      'a profile of this model',
      'none',
      'Calibrate the method and give the file with --profile.',
    );
  return { method, params, identity };
};

/** Whether the method needs a prefill that no other setting shares. */
export const needsOwnPrefill = (bound: BoundMethod, model: ModelFacts, protocol: Protocol): boolean => {
  const setting = smallestSetting(bound, protocol);
  const hooks = bound.method.hooks(setting, model);
  const watches = hooks.cache?.onWrite !== undefined;
  return hooks.prompt !== undefined || watches || bound.method.declare(setting, model).changesPrefill;
};

/** What a method may be asked about itself before there is a budget. */
const smallestSetting = ({ params, method }: BoundMethod, protocol: Protocol): Setting => ({
  params,
  protocol,
  budget: { tokens: 1, fraction: 1, contextTokens: 1, covers: method.covers ?? 'context' },
});

/** Encoders that the method declares under any of these protocols. */
export const auxiliaryNeeds = (bound: BoundMethod, model: ModelFacts, protocols: readonly Protocol[]): string[] => {
  const names = protocols.flatMap((protocol) => {
    try {
      const { needs } = bound.method.declare(smallestSetting(bound, protocol), model);
      return needs.flatMap((need) => ('auxiliary' in need ? [need.auxiliary] : []));
    } catch {
      // Its cells will say why it cannot serve this protocol.
      return [];
    }
  });
  return [...new Set(names)];
};

export interface ResolvedSetting {
  readonly key: string;
  readonly bound: BoundMethod;
  readonly setting: Setting;
  readonly declaration: Declaration;
  /** Fresh hooks; an adapter keeps nothing in a closure, so they may be made as often as wanted. */
  hooks(): Hooks;
}

/** Budget in tokens of the context: floor(f n) or min(B, n). */
export const resolveSetting = (
  request: SettingRequest,
  bound: BoundMethod,
  model: ModelFacts,
  protocol: Protocol,
  contextTokens: number,
): ResolvedSetting => {
  const budget = budgetOf(request, bound.method, contextTokens);
  const { params, profile } = bound;
  const setting: Setting = { params, protocol, budget, ...(profile === undefined ? {} : { profile }) };
  const declaration = bound.method.declare(setting, model);
  refuse(bound.method, declaration);
  refuseSlidingModel(bound.method, model);
  refuseHooks(bound.method, declaration, bound.method.hooks(setting, model));
  return { key: request.key, bound, setting, declaration, hooks: () => bound.method.hooks(setting, model) };
};

/** Where every layer slides there is nothing to evict or select: the method would run as dense under another name. */
const refuseSlidingModel = (method: Method, model: ModelFacts): void => {
  const actsOnCache = method.budgetAxis === 'residentBytes' || method.budgetAxis === 'bytesRead';
  if (!actsOnCache || model.layers.some((layer) => layer.evictable)) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${method.id} on ${model.id}`,
    'a model with layers that see the whole text',
    'sliding layers only',
    'Choose a model with full attention, or methods that choose the prompt.',
  );
};

const budgetOf = (request: SettingRequest, method: Method, contextTokens: number): Budget => {
  const covers = method.covers ?? 'context';
  if (method.budgetAxis === 'none') return { tokens: contextTokens, fraction: 1, contextTokens, covers };
  const { keptFraction, tokenBudget } = request;
  if ((keptFraction === undefined) === (tokenBudget === undefined)) {
    throw new WinnowError(
      'ERR_USAGE',
      `${request.key}.budget`,
      'exactly one of a kept fraction and a token budget',
      { keptFraction, tokenBudget },
      'Give --kept-fraction or --token-budget.',
    );
  }
  if (keptFraction !== undefined && !(keptFraction > 0 && keptFraction <= 1)) {
    throw new WinnowError(
      'ERR_USAGE',
      `${request.key}.keptFraction`,
      'a number in (0, 1]: the fraction kept',
      keptFraction,
    );
  }
  if (tokenBudget !== undefined && !(Number.isInteger(tokenBudget) && tokenBudget > 0)) {
    throw new WinnowError('ERR_USAGE', `${request.key}.tokenBudget`, 'a whole number of tokens above 0', tokenBudget);
  }
  const tokens =
    keptFraction === undefined
      ? Math.min(tokenBudget!, contextTokens)
      : Math.floor(keptFraction * contextTokens + 1e-9);
  if (tokens < 1)
    throw new WinnowError(
      'ERR_BUDGET',
      `${request.key}.budget`,
      'at least 1 kept token',
      tokens,
      `The context has ${contextTokens} tokens; raise the budget.`,
    );
  return { tokens, fraction: tokens / contextTokens, contextTokens, covers };
};

/** Positions that attention uses must be among those the model was trained on; a layout may keep far text within them. */
export const checkLength = (model: ModelFacts, setting: ResolvedSetting, tokens: number): void => {
  const { positions } = setting.declaration.layout;
  const used = typeof positions === 'object' ? Math.min(tokens, positions.clampDistance + 1) : tokens;
  // A compact layout counts what is kept, unless the prefill itself has already seen every token in its place.
  if (used <= model.maxPositions || (positions === 'compact' && setting.declaration.changesPrefill)) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${setting.key}.length`,
    `at most ${model.maxPositions} tokens, the positions of ${model.id}`,
    used,
    'Take a shorter length, or a method whose positions stay within them.',
  );
};

/** A prompt that is one text has no documents to choose from or to read apart: such methods would run as dense under another name. */
export const requireDocuments = ({ key, hooks }: ResolvedSetting): void => {
  const { prompt, assemble } = hooks();
  if (prompt === undefined && assemble === undefined) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    key,
    'a method that acts on the cache, the attention or the output',
    'one that chooses or reads documents',
    'A prompt file has none: use winnow run with a suite.',
  );
};

/** Hooks that this engine would never call: a method that relies on one is refused instead of half run. */
const refuseHooks = (method: Method, declaration: Declaration, { assemble, prefill, cache, output }: Hooks): void => {
  const { changesPrefill } = declaration;
  if (assemble !== undefined && !changesPrefill)
    throw new WinnowError('ERR_CONTRACT', `${method.id}.assemble`, 'changesPrefill in the declaration', 'false');
  if (assemble !== undefined && prefill !== undefined)
    throw new WinnowError('ERR_COMPOSE', method.id, 'either an assembled context or a prefill of its own', 'both');
  if (prefill?.tokens !== undefined) {
    const { layout, needs, changesPrefill: isOwn } = declaration;
    if (!isOwn)
      throw new WinnowError(
        'ERR_CONTRACT',
        `${method.id}.prefill.tokens`,
        'changesPrefill in the declaration',
        'false',
      );
    const watched = needs.find((need) => 'view' in need && ['windowQueries', 'columnStats'].includes(need.view));
    if (
      prefill.plan !== undefined ||
      cache?.onWrite !== undefined ||
      watched !== undefined ||
      layout.keyRope !== 'post'
    )
      throw new WinnowError(
        'ERR_COMPOSE',
        `${method.id}.prefill.tokens`,
        'tokens that leave out layers, with plain attention and no view of all queries',
        watched === undefined ? 'a plan, a watcher or unrotated keys' : 'view' in watched ? watched.view : watched,
      );
  }
  const unserved = { 'output.head': output?.head };
  for (const [name, hook] of Object.entries(unserved)) {
    if (hook === undefined) continue;
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${method.id}.${name}`,
      'hooks that this engine calls',
      name,
      'It is part of the contract, but not of the engine yet.',
    );
  }
  const edits = output?.logits !== undefined || output?.companions !== undefined;
  if (output?.draft !== undefined && edits)
    throw new WinnowError(
      'ERR_COMPOSE',
      `${method.id}.output`,
      'either a draft or other logits',
      'both',
      'Drafted tokens are verified by the model as it is.',
    );
};

const servedViews = new Set([
  ...['windowQueries', 'probs', 'lse', 'tokens', 'embeddings', 'evidence'],
  ...['queries', 'keysPreRope', 'hidden', 'attentionOutput', 'columnStats'],
]);

const checkColumnStats = (
  method: Method,
  declaration: Declaration,
  { reduce }: Extract<Need, { view: 'columnStats' }>,
): void => {
  const refused = (expected: string, got: string, fix?: string): never => {
    throw new WinnowError('ERR_UNSUPPORTED', `${method.id}.columnStats`, expected, got, fix);
  };
  if (reduce in reducedElsewhere)
    refused(
      `one of ${Object.keys(columnReduceCode).join(', ')}`,
      reduce,
      reducedElsewhere[reduce as keyof typeof reducedElsewhere],
    );
  if (declaration.changesPrefill) refused('a dense prefill', 'a prefill of its own');
};

/** What the contract can say and this engine cannot do yet: one clear error instead of a silent approximation. */
const refuse = (method: Method, declaration: Declaration): void => {
  const unsupported = (what: string, got: unknown): never => {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${method.id}.${what}`,
      'something this engine can serve',
      got,
      'It is part of the contract, but not of the engine yet.',
    );
  };
  const { layout } = declaration;
  const changesPrefill = layout.keyRope === 'pre' || typeof layout.positions === 'object';
  if (changesPrefill && !declaration.changesPrefill)
    throw new WinnowError(
      'ERR_CONTRACT',
      `${method.id}.changesPrefill`,
      'true for a layout that the prefill sees too',
      false,
      'Keys before RoPE and clamped distances change every attention.',
    );
  if (layout.keyBasis !== undefined) unsupported('layout.keyBasis', layout.keyBasis);
  if (declaration.prefillOrder !== 'any') unsupported('prefillOrder', declaration.prefillOrder);
  for (const need of declaration.needs) {
    if ('auxiliary' in need) continue;
    if (!servedViews.has(need.view)) unsupported('needs', need.view);
    else if (need.view === 'columnStats') checkColumnStats(method, declaration, need);
    else if (need.view === 'evidence' && method.control !== true) {
      throw new WinnowError(
        'ERR_CONTRACT',
        `${method.id}.needs`,
        'evidence only for controls',
        'evidence',
        'Mark the method as a control or drop the need.',
      );
    }
  }
};
