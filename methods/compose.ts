/**
 * Compositions: an evictor, a selector, a quantiser and a sparse prefill over one cache, at most one of each.
 *
 * Order of work: the evictor drops, the selector reads from what survived (its pages are pages of surviving slots), the quantiser packs
 * what survived. One part owns the budget of the setting; the others get a share of what they act on, which is a parameter.
 */
import { z } from 'zod';
import { WinnowError } from '../core/errors.js';
import { joinHooks, type PartHooks } from './compose-hooks.js';
import { type PartLens, stateName } from './compose-views.js';
import type { Budget, Declaration, Layout, Method, ModelFacts, Need, Setting } from './contract.js';

/** In the order in which they act; the first one present owns the budget. */
const roles = ['evictor', 'selector', 'prefill', 'quantiser'] as const;
type Role = (typeof roles)[number];

export interface ComposePart {
  readonly method: Method;
  /** Become the defaults of the composition's own parameters. */
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface ComposeParams {
  /** Per part that does not own the budget: the share it reads or computes of what it acts on, in (0, 1]. */
  readonly fractions: Readonly<Record<string, number>>;
  readonly [partId: string]: object;
}

/** Half of the survivors: a round number between no selection and none left; a part's share is never implied by another part's budget. */
const defaultFraction = 0.5;

export const composeMethods = (given: readonly ComposePart[]): Method<ComposeParams> => {
  const parts = inOrder(given);
  const id = parts.map(({ method }) => method.id).join('+');
  const owner = parts[0]!.method;
  return {
    id,
    name: parts.map(({ method }) => method.name).join(' + '),
    family: 'composition',
    source: { title: `Composition of ${parts.map(({ method }) => method.id).join(', ')}` },
    deviations: parts.flatMap(({ method }) => method.deviations.map((text) => `${method.id}: ${text}`)),
    training: parts.map(({ method }) => method.training).find((training) => training !== 'none') ?? 'none',
    parameters: parametersOf(parts),
    budgetAxis: owner.budgetAxis,
    budgetControl: owner.budgetControl,
    ...(owner.covers === undefined ? {} : { covers: owner.covers }),
    ...(parts.some(({ method }) => method.control === true) ? { control: true } : {}),
    ...(parts.some(({ method }) => method.simulated === true) ? { simulated: true } : {}),
    declare: (setting, model) => joinDeclarations(id, open(parts, setting, model)),
    hooks: (setting, model) => joinHooks(id, open(parts, setting, model)),
  };
};

interface Part extends ComposePart {
  readonly role: Role;
}

const inOrder = (given: readonly ComposePart[]): Part[] => {
  const parts = given.map((part) => ({ ...part, role: roleOf(part.method) }));
  if (parts.length < 2) {
    throw new WinnowError(
      'ERR_COMPOSE',
      'compose',
      'at least two parts',
      parts.map(({ method }) => method.id).join(', '),
      'Name more parts.',
    );
  }
  for (const role of roles) {
    const owners = parts.filter((part) => part.role === role).map(({ method }) => method.id);
    if (owners.length > 1) {
      throw new WinnowError(
        'ERR_COMPOSE',
        'compose',
        `at most one ${role}`,
        owners.join(' and '),
        'Leave one of them out.',
      );
    }
  }
  return parts.sort((a, b) => roles.indexOf(a.role) - roles.indexOf(b.role));
};

const roleOf = (method: Method): Role => {
  if (method.family === 'quantisation') return 'quantiser';
  if (method.budgetAxis === 'residentBytes') return 'evictor';
  if (method.budgetAxis === 'bytesRead') return 'selector';
  if (method.budgetAxis === 'density') return 'prefill';
  const fix = 'Run it alone.';
  throw new WinnowError(
    'ERR_COMPOSE',
    'compose',
    'an evictor, a selector, a quantiser or a sparse prefill',
    method.id,
    fix,
  );
};

/** Whether a part that is not first acts on a share of its own; a quantiser's size follows from its bits. */
const hasShare = ({ role }: Part, index: number): boolean => index > 0 && role !== 'quantiser';

const parametersOf = (parts: readonly Part[]): z.ZodType<ComposeParams> => {
  const fractions = parts
    .filter(hasShareIn(parts))
    .map(
      ({ method }) =>
        [
          method.id,
          z
            .number()
            .gt(0)
            .max(1)
            .default(defaultFraction)
            .describe('Share of the survivors it reads (of the pairs it computes, for a prefill).'),
        ] as const,
    );
  const shape = Object.fromEntries(parts.map(({ method, params }) => [method.id, prefault(method.parameters, params)]));
  return z.strictObject({
    ...shape,
    fractions: z.strictObject(Object.fromEntries(fractions)).prefault({}),
  }) as unknown as z.ZodType<ComposeParams>;
};

const hasShareIn =
  (parts: readonly Part[]) =>
  (part: Part): boolean =>
    hasShare(part, parts.indexOf(part));

/** Missing parameters of a part are those it was composed with; given ones replace them one by one. */
const prefault = (schema: z.ZodType<object>, params: Readonly<Record<string, unknown>> = {}): z.ZodType =>
  z.preprocess((given) => (given === undefined ? params : isRecord(given) ? { ...params, ...given } : given), schema);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

interface OpenPart extends PartHooks {
  readonly declaration: Declaration;
}

const open = (parts: readonly Part[], setting: Setting<ComposeParams>, model: ModelFacts): OpenPart[] => {
  let firstNeed = 0;
  return parts.map((part, index) => {
    const budget = (whole: Budget): Budget => shareOf(part, index, whole, setting.params.fractions, parts[0]!.role);
    const own: Setting = { ...setting, params: setting.params[part.method.id]!, budget: budget(setting.budget) };
    const declaration = part.method.declare(own, model);
    const lens: PartLens = { id: part.method.id, firstNeed, budget };
    firstNeed += declaration.needs.length;
    return { lens, declaration, hooks: part.method.hooks(own, model) };
  });
};

/** The budget a part sees. A selector behind an evictor acts on the survivors, so these are its whole. */
const shareOf = (
  part: Part,
  index: number,
  whole: Budget,
  fractions: ComposeParams['fractions'],
  ownerRole: Role,
): Budget => {
  if (index === 0) return whole;
  const all = part.role === 'selector' && ownerRole === 'evictor' ? whole.tokens : whole.contextTokens;
  const fraction = part.role === 'quantiser' ? 1 : fractions[part.method.id]!;
  return { tokens: Math.floor(fraction * all + 1e-9), fraction, contextTokens: all, covers: whole.covers };
};

const joinDeclarations = (id: string, parts: readonly OpenPart[]): Declaration => {
  const all = parts.map((part) => part.declaration);
  refuseClashes(id, parts);
  return {
    needs: all.flatMap(({ needs }) => needs),
    changesPrefill: all.some(({ changesPrefill }) => changesPrefill),
    prefillOrder: all.some(({ prefillOrder }) => prefillOrder === 'layer-major') ? 'layer-major' : 'any',
    layout: { ...all[0]!.layout, tier: all.some(({ layout }) => layout.tier) },
    state: Object.fromEntries(
      parts.flatMap(({ lens, declaration }) =>
        Object.entries(declaration.state).map(([name, field]) => [stateName(lens.id, name), field] as const),
      ),
    ),
    logits: all.some(({ logits }) => logits === 'partial') ? 'partial' : 'full',
    hostReadsPerStep: all.reduce((sum, { hostReadsPerStep }) => sum + hostReadsPerStep, 0),
    waives: Object.fromEntries(
      parts.flatMap(({ lens, declaration }) =>
        Object.entries(declaration.waives).map(([property, reason]) => [property, `${lens.id}: ${reason}`]),
      ),
    ),
  };
};

const refuseClashes = (id: string, parts: readonly OpenPart[]): void => {
  const [first, ...rest] = parts;
  for (const other of rest) {
    const clash =
      layoutClash(first!.declaration.layout, other.declaration.layout) ??
      needClash(first!.declaration.needs, other.declaration.needs);
    if (clash !== undefined) {
      throw new WinnowError(
        'ERR_COMPOSE',
        id,
        `the same ${clash} in ${first!.lens.id} and ${other.lens.id}`,
        'two',
        'Leave one of them out.',
      );
    }
  }
  const acting = parts.find(({ hooks }) => hooks.cache?.maintain !== undefined);
  const quantiser = parts.at(-1);
  if (acting !== undefined && quantiser !== undefined && acting !== quantiser && quantiser.hooks.cache !== undefined) {
    throw new WinnowError(
      'ERR_COMPOSE',
      id,
      'a quantiser only behind parts that act on the cache once',
      `${acting.lens.id} acts at every step, also on groups that ${quantiser.lens.id} has packed`,
      'Take a part that acts at the end of the prefill.',
    );
  }
};

const layoutClash = (a: Layout, b: Layout): string | undefined => {
  if (a.keyRope !== b.keyRope) return 'layout.keyRope';
  if (JSON.stringify(a.positions) !== JSON.stringify(b.positions)) return 'layout.positions';
  return a.keyBasis !== b.keyBasis ? 'layout.keyBasis' : undefined;
};

/** Views that exist once per moment, so that two parts must ask for the same. */
const needClash = (a: readonly Need[], b: readonly Need[]): string | undefined => {
  for (const view of ['windowQueries', 'probs'] as const) {
    const asked = [a, b].map((needs) => needs.find((need) => 'view' in need && need.view === view));
    if (asked.every((need) => need !== undefined) && JSON.stringify(asked[0]) !== JSON.stringify(asked[1]))
      return `need ${view}`;
  }
  return undefined;
};
