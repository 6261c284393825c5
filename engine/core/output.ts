/** Output hooks: what a method makes of the logits of a step, and the tokens that follow. */
import { asWinnowError, WinnowError } from '../../core/errors.js';
import type { OutputView } from '../../methods/contract.js';
import { feedCompanions } from './companions.js';
import { type DeviceTensor, device as deviceOf } from './device.js';
import { type Group, groupState, slotsView } from './group.js';
import type { ModelContext } from './sample.js';

/** Where in the answer a step stands. */
export interface OutputMoment {
  readonly phase: 'question' | 'answer';
  readonly step: number;
  readonly queryLen: number;
  /** All tokens of a row so far, the next one to be fed included. */
  tokens(group: Group, row: number): Int32Array;
}

export interface EditRequest extends OutputMoment {
  readonly groups: readonly Group[];
  /** f32 [rows of all groups, vocabSize], owned by the transformer. */
  readonly logits: DeviceTensor;
  /** What the rows were fed; absent for the question, after which twins read the end of their prompts. */
  fedToken?(group: Group, row: number): number;
}

/**
 * Logits after the `logits` hooks of all groups; the transformer's own where there are none. Hooks that throw fail their own group.
 * Tensors live until the open scope closes.
 */
export const editLogits = (
  context: ModelContext,
  request: EditRequest,
  failures: Map<Group, WinnowError>,
): DeviceTensor => {
  const { device } = context;
  const { groups } = request;
  if (!groups.some(hasOutput)) return request.logits;
  const edited = device.tensor('f32', request.logits.shape);
  device.addon.copyRows(request.logits.id, 0, edited.id, 0, edited.shape[0]!);
  const twins = feedCompanions(context, groups, request.fedToken?.bind(request));
  let first = 0;
  for (const group of groups) {
    const count = group.rows.length;
    const own = device.slice(edited, first, count);
    first += count;
    if (!hasOutput(group) || failures.has(group)) continue;
    try {
      editGroup(context, group, own, outputView(context, group, request, twins.get(group) ?? []));
    } catch (thrown) {
      failures.set(group, asWinnowError(thrown, group.rows[0]!.resolved.bound.method.id));
    }
  }
  return edited;
};

const hasOutput = (group: Group): boolean => {
  const output = group.hooks().output;
  return output?.logits !== undefined || output?.accepted !== undefined || group.companions.size > 0;
};

const editGroup = ({ device }: ModelContext, group: Group, logits: DeviceTensor, view: OutputView): void => {
  const [rows = 0, vocab = 0] = logits.shape;
  group.hooks().output?.accepted?.(device.reshape(logits, [rows, 1, vocab]), view);
  const out = group.hooks().output?.logits?.(logits, view);
  if (out === undefined) return;
  const answer = deviceOf(out);
  if (answer.dtype !== 'f32' || answer.shape.join() !== logits.shape.join())
    throw new WinnowError(
      'ERR_CONTRACT',
      `${group.rows[0]!.resolved.bound.method.id}.output.logits`,
      `f32 [${logits.shape.join(', ')}]`,
      `${answer.dtype} [${answer.shape.join(', ')}]`,
    );
  if (answer.id !== logits.id) device.addon.copyRows(answer.id, 0, logits.id, 0, rows);
};

export const outputView = (
  context: ModelContext,
  group: Group,
  moment: OutputMoment,
  companions: readonly DeviceTensor[],
): OutputView => {
  const { shapes } = context;
  const { resolved } = group.rows[0]!;
  const { id } = resolved.bound.method;
  const layer = shapes.length - 1;
  const refuse = (name: string) => (): never => {
    throw new WinnowError('ERR_UNSUPPORTED', `${id}.output.${name}`, 'logits, tokens and slots', name);
  };
  const seesTokens = resolved.declaration.needs.some((need) => 'view' in need && need.view === 'tokens');
  return {
    layer,
    shape: shapes[layer]!,
    rows: group.facts,
    state: groupState(context, group, layer),
    ops: group.ops(context, true),
    step: moment.step,
    phase: moment.phase,
    queryLen: moment.queryLen,
    slots: slotsView(context, group, layer, false),
    queries: refuse('queries'),
    hidden: refuse('hidden'),
    tokenIds: refuse('tokenIds'),
    probs: refuse('probs'),
    lse: refuse('lse'),
    tokens(row) {
      if (seesTokens) return moment.tokens(group, row);
      throw new WinnowError('ERR_CONTRACT', `${id}.tokens`, 'a declared need', 'none', "Declare { view: 'tokens' }.");
    },
    companionLogits(index) {
      const logits = companions[index];
      if (logits !== undefined) return logits;
      throw new WinnowError('ERR_CONTRACT', `${id}.companionLogits`, `one of ${companions.length} companions`, index);
    },
  };
};
