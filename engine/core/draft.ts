/** Drafted tokens: a tree proposed by a method, verified in one step, of which the longest path that the model agrees with stays. */
import { asWinnowError, WinnowError } from '../../core/errors.js';
import type { Draft } from '../../methods/contract.js';
import { type DeviceTensor, device as deviceOf } from './device.js';
import { forkGroup, freeGroup, type Group } from './group.js';
import { type OutputMoment, outputView } from './output.js';
import { forkBooks } from './rows.js';
import { type ModelContext, partition } from './sample.js';
import { runStep, type StepRow } from './step.js';

export interface DraftRequest extends Omit<OutputMoment, 'queryLen' | 'phase'> {
  /** Of one row. */
  readonly group: Group;
  /** The token that comes before the drafted ones. */
  readonly pending: number;
  /** Longest path that may be drafted. */
  readonly maxDepth: number;
  readonly recall: boolean;
  /** The model's choice after the token at `depth` of a path, 0 for the pending one. */
  choose(logits: Float32Array, depth: number): number;
}

export interface DraftOutcome {
  /** Drafted tokens that were right, then the model's own next one, not fed yet. */
  readonly tokens: readonly number[];
  readonly bytesRead: number;
  readonly bytesMoved: number;
  readonly recall: number;
  readonly failure: WinnowError | undefined;
}

/**
 * One step of a drafting row. Branches are verified side by side on forks of the row, and the row takes over the best of them: what
 * the others wrote into cache and state is gone. Without branches the row itself is fed.
 */
export const draftStep = (context: ModelContext, request: DraftRequest): DraftOutcome => {
  const { group, pending } = request;
  let paths: number[][];
  try {
    paths = context.device.scope(() => drafted(context, request)).map((path) => [pending, ...path]);
  } catch (thrown) {
    const failure = asWinnowError(thrown, group.rows[0]!.resolved.bound.method.id);
    return { tokens: [pending], bytesRead: 0, bytesMoved: 0, recall: Number.NaN, failure };
  }
  if (paths.length === 1) {
    const [branch] = verify(context, request, [{ group, path: paths[0]! }]);
    return outcomeOf(branch!, [branch!]);
  }
  const forks = paths.map((path) => ({ group: forkGroup(context, group), path }));
  try {
    const branches = partition(forks, ({ path }) => `${path.length}`).flatMap((alike) =>
      verify(context, request, alike),
    );
    const best = branches.reduce((a, b) => (b.tokens.length > a.tokens.length ? b : a));
    adopt(context, group, best.group);
    return outcomeOf(best, branches);
  } finally {
    for (const fork of forks) freeGroup(context, fork.group);
  }
};

interface Branch {
  readonly group: Group;
  readonly tokens: readonly number[];
  readonly row: StepRow;
  readonly failure: WinnowError | undefined;
}

const outcomeOf = (best: Branch, all: readonly Branch[]): DraftOutcome => ({
  tokens: best.tokens,
  bytesRead: all.reduce((sum, { row }) => sum + row.bytesRead, 0),
  bytesMoved: all.reduce((sum, { row }) => sum + row.bytesMoved, 0),
  recall: best.row.recall,
  failure: all.find(({ failure }) => failure !== undefined)?.failure,
});

/** Feeds paths of one length as one batch; each group keeps the tokens that the model would have chosen. */
const verify = (
  context: ModelContext,
  request: DraftRequest,
  alike: readonly { readonly group: Group; readonly path: readonly number[] }[],
): Branch[] => {
  const { device, facts } = context;
  const queryLen = alike[0]!.path.length;
  const tokens = new Map<Group, number[]>();
  let host: Float32Array | undefined;
  const outcome = runStep(context, context.transformer, {
    groups: alike.map(({ group }) => group),
    ids: Int32Array.from(alike.flatMap(({ path }) => path)),
    queryLen,
    phase: 'answer',
    step: request.step,
    logits: 'all',
    recall: request.recall,
    accept(group, logits, firstRow) {
      host ??= device.addon.download(logits.id) as Float32Array;
      const { path } = alike[firstRow]!;
      const chosen: number[] = [];
      for (let t = 0; t < queryLen; t++) {
        const at = (firstRow * queryLen + t) * facts.vocabSize;
        chosen.push(request.choose(host.subarray(at, at + facts.vocabSize), t));
        if (chosen[t] !== path[t + 1]) break;
      }
      tokens.set(group, chosen);
      tellAccepted(context, request, group, logits, firstRow * queryLen, chosen.length);
      return chosen.length;
    },
  });
  return alike.map(({ group }, r) => ({
    group,
    tokens: tokens.get(group)!,
    row: outcome.rows[r]!,
    failure: outcome.failures.get(group),
  }));
};

const tellAccepted = (
  context: ModelContext,
  request: DraftRequest,
  group: Group,
  logits: DeviceTensor,
  first: number,
  accepted: number,
): void => {
  const hook = group.hooks().output?.accepted;
  if (hook === undefined) return;
  const { device } = context;
  const own = device.reshape(device.slice(logits, first, accepted), [1, accepted, logits.shape[1]!]);
  hook(own, outputView(context, group, { ...request, phase: 'answer', queryLen: accepted }, []));
};

/** The row goes on as its fork: cache, books and state. */
const adopt = ({ device }: ModelContext, group: Group, fork: Group): void => {
  const row = group.rows[0]!;
  const winner = fork.rows[0]!;
  device.addon.cacheFree(row.cache);
  // The row stays the same object, by which others know it.
  Object.assign(row, forkBooks(winner, device.addon.cacheFork(winner.cache)));
  group.caches[0] = row.cache;
  group.state.copyRow(0, fork.state, 0);
};

/** Root-to-leaf paths of what the method drafted, cut at the longest that is wanted; one empty path when it drafted nothing. */
const drafted = (context: ModelContext, request: DraftRequest): number[][] => {
  const { group, maxDepth } = request;
  const { device, facts } = context;
  const { id } = group.rows[0]!.resolved.bound.method;
  const hook = group.hooks().output!.draft!;
  const draft = hook(outputView(context, group, { ...request, phase: 'answer', queryLen: 1 }, []));
  if (draft.keep !== 'verified-path')
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${id}.draft.keep`,
      'verified-path',
      draft.keep,
      'Leaves that live on would be rows of their own, and an answer has one row.',
    );
  const { ids, parents } = treeOf(id, draft, facts.vocabSize, (t) => device.addon.download(deviceOf(t).id));
  const paths: number[][] = [];
  ids.forEach((token, i) => {
    paths.push([...(parents[i]! < 0 ? [] : paths[parents[i]!]!), token]);
  });
  const cut = paths.map((path) => path.slice(0, maxDepth));
  const leaves = [...new Map(cut.map((path) => [path.join(), path])).values()].filter(
    (path, _, all) => !all.some((other) => other.length > path.length && path.every((token, i) => token === other[i])),
  );
  return leaves.length === 0 ? [[]] : leaves;
};

const treeOf = (
  id: string,
  draft: Draft,
  vocabSize: number,
  toHost: (t: Draft['ids']) => ArrayLike<number>,
): { ids: number[]; parents: number[] } => {
  const all = Array.from(toHost(draft.ids));
  // Lists made by ops end in -1 where they are shorter than their tensor.
  const ids = all.slice(0, all.findLastIndex((token) => token !== -1) + 1);
  const parents = Array.from(toHost(draft.parents)).slice(0, ids.length);
  const isTree =
    parents.length === ids.length &&
    ids.every((token) => Number.isInteger(token) && token >= 0 && token < vocabSize) &&
    parents.every((parent, i) => Number.isInteger(parent) && parent >= -1 && parent < i);
  if (!isTree || ids.length > MAX_DRAFT)
    throw new WinnowError(
      'ERR_CONTRACT',
      `${id}.draft`,
      `up to ${MAX_DRAFT} tokens of the vocabulary, each with an earlier parent or -1`,
      { ids: ids.slice(0, 8), parents: parents.slice(0, 8) },
    );
  return { ids, parents };
};

/** Far more than any tree in use; a bound on what one step may take. */
const MAX_DRAFT = 512;
