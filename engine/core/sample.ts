import { asWinnowError, type WinnowError } from '../../core/errors.js';
import type { ModelFacts, Protocol } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { type Assembled, afterAssembly, assembleContext, assembledSequence } from './assemble.js';
import { columnNeeds } from './column-stats.js';
import { openCompanions } from './companions.js';
import { compressAll, type Fed, windowRows } from './compress.js';
import { type ContextPart, wholeContext } from './context-parts.js';
import type { DeviceTensor } from './device.js';
import { concat, type FedPrompt } from './fed-prompt.js';
import { createGroup, freeGroup, type Group, type GroupContext, visibleFacts } from './group.js';
import { prefill } from './prefill.js';
import { ownsPrefill, prefillHooks } from './prefill-hooks.js';
import { prefillSkipping } from './prefill-skip.js';
import { cacheRecall, keptPositions, type Row, totalHeads } from './rows.js';
import { checkLength, type ResolvedSetting } from './settings.js';
import { checkSharing } from './shared-cache.js';
import { rollBack } from './step-books.js';
import type { Transformer } from './transformer.js';

/** What an open model offers to a sample. */
export interface ModelContext extends GroupContext {
  readonly transformer: Transformer;
  readonly facts: ModelFacts;
  readonly prefillChunk: number;
  /** Of the answer's steps, where a conversion has another view for them over the same caches. */
  readonly decodeView?: Pick<ModelContext, 'transformer' | 'shapes'>;
  /** The model that a setting runs on: another one for methods that convert weights. */
  convert(setting: ResolvedSetting): ModelContext;
  cancelled(): void;
}

/** What the answer's steps run on. */
export const answerContext = (context: ModelContext): ModelContext => ({ ...context, ...context.decodeView });

export interface SampleSpec {
  readonly prompt: FedPrompt;
  readonly protocol: Protocol;
  readonly sampleSeed: number;
  /** Tokens that may be generated, for the size of declared state. */
  readonly maxNewTokens: number;
  /** Answer with the positions held after compression. */
  readonly traceKept?: boolean;
  /** Every setting prefills for itself. */
  readonly standAlone: boolean;
  /** The context cut for methods that assemble it; absent: one part. */
  readonly parts?: readonly ContextPart[];
  /** Prompts of twin rows of a setting, for methods that ask for them. */
  companions?(setting: ResolvedSetting): readonly Int32Array[];
  /** Sees each row right before and after compression. */
  readonly watch?: {
    prefilled?(row: Row, windowQueries: readonly DeviceTensor[]): void;
    compressed?(row: Row, group: Group): void;
  };
}

/** Settings of one sample with the context fed and compressed. */
export interface OpenSample {
  /** Context and question. */
  readonly promptIds: Int32Array;
  readonly groups: readonly Group[];
  readonly failures: ReadonlyMap<string, WinnowError>;
  /** Logits [vocabSize] of the prompt's last token by setting, when nothing is fed after compression; otherwise empty. */
  readonly firstLogits: ReadonlyMap<string, Float32Array>;
  readonly density: ReadonlyMap<string, { readonly pairs: number; readonly causalPairs: number }>;
  /** Evidence still cached after compression; NaN without evidence. */
  readonly recall: ReadonlyMap<string, number>;
  /** With traceKept: positions held after compression, by layer and KV head. */
  readonly kept: ReadonlyMap<string, Int32Array[][]>;
  /** Tokens that a setting has fed so far beside its own sequence. */
  auxiliaryTokens(key: string): number;
  readonly prefills: number;
  close(): void;
}

/** Prefills once for all settings that leave the prefill alone, forks, compresses, and prefills apart for the others. */
export const openSample = async (
  context: ModelContext,
  spec: SampleSpec,
  settings: readonly ResolvedSetting[],
): Promise<OpenSample> => {
  const { device, shapes, transformer } = context;
  const groups: Group[] = [];
  const failures = new Map<string, WinnowError>();
  const firstLogits = new Map<string, Float32Array>();
  const density = new Map<string, { pairs: number; causalPairs: number }>();
  const recall = new Map<string, number>();
  const kept = new Map<string, Int32Array[][]>();
  let prefills = 0;
  const { prompt, protocol } = spec;
  const tail = protocol === 'query-aware' ? (prompt.tailTokens ?? 0) : 0;
  const promptIds = protocol === 'query-agnostic' ? prompt.contextIds : concat(prompt.contextIds, prompt.questionIds);
  const slotCapacity = prompt.contextIds.length + prompt.questionIds.length + spec.maxNewTokens + 1;
  const sequence = {
    sampleSeed: spec.sampleSeed,
    length: promptIds.length,
    contextLength: prompt.contextIds.length,
    tokenIds: promptIds,
    evidence: prompt.evidence,
    ...(prompt.segments === undefined ? {} : { segments: prompt.segments }),
  };

  const feed = (members: readonly ResolvedSetting[], cache: CacheId, assembled?: Assembled): Fed => {
    prefills++;
    const fedIds = assembled === undefined ? promptIds : promptIds.subarray(prompt.contextIds.length);
    const [own] = members;
    const watches = members.length === 1 && (ownsPrefill(own!) || own!.hooks().prefill?.plan !== undefined);
    const group = watches ? planGroup(context, own!, sequence, slotCapacity, cache) : undefined;
    try {
      const fedTokens = { ids: fedIds, ...(prompt.soft === undefined ? {} : { soft: prompt.soft }), cache };
      const wantLogits = protocol === 'query-aware' && tail === 0;
      if (group?.hooks().prefill?.tokens !== undefined)
        return { ...prefillSkipping(context, { ...fedTokens, wantLogits, group }), group };
      const result = prefill(device, transformer, shapes, {
        ...fedTokens,
        firstPosition: assembled?.nextPosition ?? 0,
        ...(prompt.firstPosition === undefined ? {} : { shift: prompt.firstPosition }),
        chunk: context.prefillChunk,
        windowRows: Math.max(0, ...members.map((member) => windowRows(member, prompt.questionIds.length))),
        columnStats: members.flatMap((member) => columnNeeds(member.declaration.needs)),
        wantLogits,
        releases: assembled === undefined,
        cancelled: context.cancelled,
        ...(group === undefined ? {} : { hooks: prefillHooks(context, group) }),
      });
      return group === undefined ? result : { ...result, group };
    } catch (thrown) {
      group?.state.dispose();
      throw thrown;
    } finally {
      group?.plans.dispose();
    }
  };

  const assembledFor = (own: ResolvedSetting, cache: CacheId): Assembled | undefined =>
    own.hooks().assemble === undefined
      ? undefined
      : assembleContext(context, own, {
          parts: spec.parts ?? [wholeContext(prompt)],
          evidence: prompt.evidence,
          cache,
        });

  /** Prefill, fork and compress one set of settings that may share a prefill. */
  const open = async (members: readonly ResolvedSetting[]): Promise<void> => {
    const base = transformer.newCache();
    let fed: Fed | undefined;
    try {
      const assembled = assembledFor(members[0]!, base);
      fed = feed(members, base, assembled);
      if (assembled !== undefined) fed = afterAssembly(fed, assembled, promptIds.length - prompt.contextIds.length);
      const logits = fed.logits === undefined ? undefined : (device.addon.download(fed.logits.id) as Float32Array);
      // A draft takes one row further than another, so rows of a drafting method are groups of their own.
      const groupOf = (member: ResolvedSetting): string =>
        member.hooks().output?.draft === undefined ? member.bound.identity : `${member.bound.identity} ${member.key}`;
      for (const sameMethod of partition(members, groupOf)) {
        for (const [member, error] of await compressAll(
          context,
          assembled === undefined ? spec : { ...spec, prompt: { ...prompt, evidence: assembled.evidence } },
          sameMethod,
          base,
          fed,
          assembled === undefined ? sequence : assembledSequence(sequence, assembled),
          slotCapacity + Math.max(0, (assembled?.ids.length ?? 0) - prompt.contextIds.length),
          groups,
        ))
          failures.set(member.key, error);
        for (const member of sameMethod) {
          density.set(member.key, { pairs: fed.pairs, causalPairs: fed.causalPairs });
          if (logits !== undefined) firstLogits.set(member.key, logits);
        }
      }
    } finally {
      for (const t of fed?.windowQueries ?? []) device.free(t);
      fed?.columnStats.dispose();
      fed?.group?.state.dispose();
      device.addon.cacheFree(base);
    }
  };

  const admitted = settings.filter((setting) => {
    try {
      checkLength(context.facts, setting, slotCapacity - 1);
      checkSharing(shapes, setting);
      setting.hooks().admit?.(visibleFacts(setting, sequence));
      return true;
    } catch (thrown) {
      failures.set(setting.key, asWinnowError(thrown, setting.key));
      return false;
    }
  });
  const close = (): void => {
    for (const group of groups) {
      freeGroup(context, group);
    }
    groups.length = 0;
  };
  try {
    const shared = spec.standAlone ? [] : admitted.filter((setting) => !ownsPrefill(setting));
    if (shared.length > 0) await open(shared);
    for (const setting of admitted) {
      if (shared.includes(setting)) continue;
      try {
        await open([setting]);
      } catch (thrown) {
        const error = asWinnowError(thrown, setting.key);
        if (error.code === 'ERR_INTERRUPTED') throw error;
        failures.set(setting.key, error);
      }
    }
  } catch (thrown) {
    close();
    throw thrown;
  }
  if (spec.traceKept === true)
    for (const group of groups) for (const row of group.rows) kept.set(row.key, keptPositions(device, row, shapes));
  if (tail > 0) takeBack(context, groups, tail);
  try {
    if (spec.companions !== undefined)
      for (const group of groups) openCompanions(context, group, spec.companions(group.rows[0]!.resolved));
  } catch (thrown) {
    close();
    throw thrown;
  }
  for (const group of groups)
    for (const row of group.rows)
      recall.set(row.key, row.evidence.length === 0 ? Number.NaN : cacheRecall(device, row, shapes));
  const auxiliaryTokens = (key: string): number =>
    groups.find((group) => group.rows.some((row) => row.key === key))?.auxiliaryTokens ?? 0;
  const wholePrompt = concat(prompt.contextIds, prompt.questionIds);
  return {
    promptIds: wholePrompt,
    groups,
    failures,
    firstLogits,
    density,
    recall,
    kept,
    auxiliaryTokens,
    prefills,
    close,
  };
};

/** A group of one row that has no cache of its own yet, for hooks that act during the prefill. */
const planGroup = (
  context: ModelContext,
  resolved: ResolvedSetting,
  sequence: Row['sequence'],
  slotCapacity: number,
  cache: CacheId,
): Group =>
  createGroup(
    context,
    [
      {
        key: resolved.key,
        resolved,
        cache,
        nextPosition: 0,
        sequence,
        evidence: [],
        slots: new Int32Array(totalHeads(context.shapes)),
        quantised: new Map(),
        evidenceSlots: new Map(),
        fullReadBytes: 0,
      },
    ],
    slotCapacity,
  );

/** Drops the prompt's last slots, which every method must have kept, so that the tokens can be fed again. */
const takeBack = (context: ModelContext, groups: readonly Group[], tokens: number): void => {
  rollBack(context, groups, tokens);
  for (const group of groups) for (const row of group.rows) row.nextPosition -= tokens;
};

export const partition = <T>(items: readonly T[], keyOf: (item: T) => string): T[][] => {
  const parts = new Map<string, T[]>();
  for (const item of items) {
    const part = parts.get(keyOf(item));
    if (part === undefined) parts.set(keyOf(item), [item]);
    else part.push(item);
  }
  return [...parts.values()];
};
