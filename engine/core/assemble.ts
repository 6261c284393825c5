/** Contexts put together from segments that were read apart, at positions of their own, and in part read again. */
import { WinnowError } from '../../core/errors.js';
import type { AssemblePlan, EncodeJob, TokenSpan } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { appendSegment } from './cache-segments.js';
import type { ContextPart } from './context-parts.js';
import { concat } from './fed-prompt.js';
import { passOver } from './fork.js';
import type { PrefillResult } from './prefill.js';
import { recompute } from './recompute.js';
import type { Row } from './rows.js';
import type { ModelContext } from './sample.js';
import type { ResolvedSetting } from './settings.js';

export interface Assembled {
  /** Token ids by slot. */
  readonly ids: Int32Array;
  /** Position of the token after the context. */
  readonly nextPosition: number;
  readonly evidence: readonly TokenSpan[];
  /** Query-key pairs computed and those of reading the context as one, over layers and query heads. */
  readonly pairs: number;
  readonly causalPairs: number;
}

export interface AssembleRequest {
  readonly parts: readonly ContextPart[];
  /** Token ranges of the context as it came. */
  readonly evidence: readonly TokenSpan[];
  /** Receives the assembled context; empty. */
  readonly cache: CacheId;
}

interface Encoded {
  readonly job: EncodeJob;
  readonly parts: readonly ContextPart[];
  readonly ids: Int32Array;
  readonly cache: CacheId;
  /** Slots before its own: what it saw. */
  readonly seen: number;
}

/** Runs a setting's `assemble` hooks. Throws ERR_CONTRACT for jobs or plans that do not fit together. */
export const assembleContext = (
  context: ModelContext,
  setting: ResolvedSetting,
  { parts, evidence, cache }: AssembleRequest,
): Assembled => {
  const { device, transformer } = context;
  const where = `${setting.bound.method.id}.assemble`;
  const hooks = setting.hooks().assemble!;
  if (parts.some(({ ids }) => ids.includes(-1)))
    throw new WinnowError('ERR_COMPOSE', where, 'a context of token ids', 'embeddings of a prompt method');
  if (hooks.recompute !== undefined)
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${where}.recompute`,
      'lists of tokens to recompute, given by place',
      'a choice made in the layers',
      'It is part of the contract, but not of the engine yet.',
    );
  const encoded = new Map<string, Encoded>();
  let placed: CacheId | undefined;
  try {
    let pairs = 0;
    const jobs = hooks.encode(parts.map(({ part }) => part));
    for (const job of jobs) {
      const done = encodeJob(context, where, job, parts, encoded);
      encoded.set(job.id, done);
      pairs += done.ids.length * done.seen + (done.ids.length * (done.ids.length + 1)) / 2;
    }
    const plan = hooks.place(jobs);
    const inOrder = plan.place.map(({ job, start }) => ({ done: jobOf(where, encoded, job), start }));
    const again = recomputedSlots(where, plan, inOrder);
    placed = again.length === 0 ? cache : transformer.newCache();
    for (const { done, start } of inOrder) {
      const own = { cache: done.cache, first: done.seen, count: done.ids.length };
      appendSegment(context, own, placed, start - done.job.start);
    }
    const ids = Int32Array.from(inOrder.flatMap(({ done }) => [...done.ids]));
    if (again.length > 0) {
      recompute(context, { ids, from: placed, into: cache, slots: again });
      for (const slot of again) pairs += slot + 1;
    }
    const heads = context.shapes.reduce((sum, shape) => sum + shape.numQueryHeads, 0);
    return {
      ids,
      nextPosition: inOrder.reduce((end, { done, start }) => Math.max(end, start + done.ids.length), 0),
      evidence: isAscending(inOrder) ? evidence.flatMap((span) => inOrder.flatMap((one) => movedSpans(one, span))) : [],
      pairs: pairs * heads,
      causalPairs: ((ids.length * (ids.length + 1)) / 2) * heads,
    };
  } finally {
    for (const { cache: own } of encoded.values()) device.addon.cacheFree(own);
    if (placed !== undefined && placed !== cache) device.addon.cacheFree(placed);
  }
};

/** The facts of the sequence that was put together. */
export const assembledSequence = (sequence: Row['sequence'], { ids, evidence }: Assembled): Row['sequence'] => ({
  ...sequence,
  length: ids.length + sequence.length - sequence.contextLength,
  contextLength: ids.length,
  tokenIds: concat(ids, sequence.tokenIds!.subarray(sequence.contextLength)),
  evidence,
});

/** The prefill of what follows the context, as the prefill of all. */
export const afterAssembly = <R extends PrefillResult>(
  fed: R,
  { nextPosition, pairs, causalPairs }: Assembled,
  tokensAfter: number,
): R => ({
  ...fed,
  nextPosition: nextPosition + tokensAfter,
  pairs: fed.pairs + pairs,
  causalPairs: fed.causalPairs + causalPairs,
});

const encodeJob = (
  context: ModelContext,
  where: string,
  job: EncodeJob,
  known: readonly ContextPart[],
  encoded: ReadonlyMap<string, Encoded>,
): Encoded => {
  const { device, transformer } = context;
  if (encoded.has(job.id)) throw new WinnowError('ERR_CONTRACT', `${where}.encode`, 'one job of each id', job.id);
  checkStart(`${where}.encode, ${job.id}`, job.start);
  const parts = job.parts.map((part) => {
    const found = known.find((one) => one.part === part);
    if (found !== undefined) return found;
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${where}.encode, ${job.id}`,
      'parts as they were given',
      'text' in part ? part.text : 'embeddings',
      'Text of the method’s own comes through a prompt hook.',
    );
  });
  const ids = Int32Array.from(parts.flatMap((part) => [...part.ids]));
  const cache = transformer.newCache();
  try {
    let seen = 0;
    for (const { job: id, start } of job.sees) {
      checkStart(`${where}.encode, ${job.id} sees ${id}`, start);
      const source = jobOf(where, encoded, id);
      const own = { cache: source.cache, first: source.seen, count: source.ids.length };
      appendSegment(context, own, cache, start - source.job.start);
      seen += source.ids.length;
    }
    passOver(context, { caches: [cache], starts: [job.start], tokenIds: ids }, () => {});
    return { job, parts, ids, cache, seen };
  } catch (thrown) {
    device.addon.cacheFree(cache);
    throw thrown;
  }
};

const checkStart = (where: string, start: number): void => {
  if (!(Number.isInteger(start) && start >= 0))
    throw new WinnowError('ERR_CONTRACT', where, 'a start of 0 or more positions', start);
};

const jobOf = (where: string, encoded: ReadonlyMap<string, Encoded>, id: string): Encoded => {
  const found = encoded.get(id);
  if (found !== undefined) return found;
  const names = [...encoded.keys()].join(', ') || 'none';
  throw new WinnowError('ERR_CONTRACT', where, `a job encoded before (${names})`, id);
};

interface Placed {
  readonly done: Encoded;
  readonly start: number;
}

/** Slots of the assembled context that are computed again, ascending. */
const recomputedSlots = (where: string, plan: AssemblePlan, inOrder: readonly Placed[]): number[] => {
  plan.place.forEach(({ job, start }, i) => {
    checkStart(`${where}.place, ${job}`, start);
    if (plan.place.findIndex((other) => other.job === job) !== i)
      throw new WinnowError('ERR_CONTRACT', `${where}.place`, 'each job in one place', job);
  });
  const slots: number[] = [];
  let first = 0;
  for (const { done } of inOrder) {
    const wanted = plan.recompute.find(({ job }) => job === done.job.id);
    if (wanted !== undefined) {
      const tokens = wanted.tokens === 'all' ? [...done.ids.keys()] : wanted.tokens;
      const isList = tokens.every(
        (token, i) => Number.isInteger(token) && token < done.ids.length && token > (tokens[i - 1] ?? -1),
      );
      if (!isList)
        throw new WinnowError(
          'ERR_CONTRACT',
          `${where}.recompute, ${done.job.id}`,
          `ascending tokens below ${done.ids.length}`,
          tokens,
        );
      slots.push(...tokens.map((token) => first + token));
    }
    first += done.ids.length;
  }
  return slots;
};

/** Positions say which token a slot holds: only then can evidence be found again. */
const isAscending = (inOrder: readonly Placed[]): boolean =>
  inOrder.every(({ start }, i) => i === 0 || start >= inOrder[i - 1]!.start + inOrder[i - 1]!.done.ids.length);

/** Where a token range of the context as it came has moved to, as positions. */
const movedSpans = ({ done, start }: Placed, span: TokenSpan): TokenSpan[] => {
  const moved: TokenSpan[] = [];
  let at = start;
  for (const { ids, offset } of done.parts) {
    const from = Math.max(span.start, offset);
    const to = Math.min(span.end, offset + ids.length);
    if (from < to) moved.push({ start: at + from - offset, end: at + to - offset });
    at += ids.length;
  }
  return moved;
};
