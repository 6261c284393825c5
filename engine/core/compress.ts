import { asWinnowError, type WinnowError } from '../../core/errors.js';
import type { CachePlan, TokenSpan } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import { applyPlan } from './apply-plan.js';
import { columnNeeds } from './column-stats.js';
import { createFork } from './fork.js';
import { cacheViews, createGroup, type Group } from './group.js';
import { headOffset, type PrefillResult } from './prefill.js';
import { type Row, slotBytes, totalHeads } from './rows.js';
import type { ModelContext, SampleSpec } from './sample.js';
import type { ResolvedSetting } from './settings.js';
import { headsRead } from './shared-cache.js';
import { endTierStep } from './tier.js';

/** A prefill, with the state that its method wrote while it passed. */
export interface Fed extends PrefillResult {
  readonly group?: Group;
}

/** Forks and compresses rows of one method. If the rows together fail, each is tried alone, so that one bad budget fails alone. */
export const compressAll = async (
  context: ModelContext,
  spec: SampleSpec,
  members: readonly ResolvedSetting[],
  base: CacheId,
  fed: Fed,
  sequence: Row['sequence'],
  slotCapacity: number,
  groups: Group[],
): Promise<[ResolvedSetting, WinnowError][]> => {
  const { device } = context;
  const rows = members.map((member) => forkRow(context, member, base, sequence, spec.prompt.evidence, fed));
  const group = createGroup(context, rows, slotCapacity);
  const written = fed.group?.state;
  if (written !== undefined)
    rows.forEach((_, r) => {
      group.state.copyRow(r, written, 0);
    });
  try {
    for (const row of rows) spec.watch?.prefilled?.(row, fed.windowQueries);
    await compress(context, spec, group, fed, sequence.length - sequence.contextLength);
    for (const row of rows) spec.watch?.compressed?.(row, group);
    groups.push(group);
    return [];
  } catch (thrown) {
    group.state.dispose();
    for (const row of rows) device.addon.cacheFree(row.cache);
    const error = asWinnowError(thrown, members[0]!.key);
    if (error.code === 'ERR_INTERRUPTED') throw error;
    if (members.length === 1) return [[members[0]!, error]];
    const alone: [ResolvedSetting, WinnowError][] = [];
    for (const member of members)
      alone.push(...(await compressAll(context, spec, [member], base, fed, sequence, slotCapacity, groups)));
    return alone;
  }
};

export const compress = async (
  context: ModelContext,
  spec: SampleSpec,
  group: Group,
  fed: Fed,
  questionTokens: number,
): Promise<void> => {
  const { device, shapes } = context;
  const held = spec.protocol === 'query-aware' ? (spec.prompt.tailTokens ?? 0) : 0;
  const [first] = group.rows;
  const wanted = windowRows(first!.resolved, questionTokens > 0 ? questionTokens : spec.prompt.questionIds.length);
  const scope = device.addon.openScope();
  const viewsOf = (shared: boolean) =>
    cacheViews(context, group, {
      boundary: spec.protocol === 'query-agnostic' ? 'context' : 'prompt',
      shared,
      ...(wanted === 0
        ? {}
        : {
            windowQueries: (layer: number) => {
              const stored = fed.windowQueries[layer]!;
              const rows = Math.min(wanted, stored.shape[0]!);
              const last = device.reshape(device.slice(stored, stored.shape[0]! - rows, rows), [
                1,
                rows,
                stored.shape[1]!,
              ]);
              return shared ? last : device.repeat(last, group.rows.length);
            },
          }),
      columnStats(layer: number, need: number) {
        const wantedNeed = first!.resolved.declaration.needs[need];
        const [known] = wantedNeed === undefined ? [] : columnNeeds([wantedNeed]);
        if (known === undefined) return undefined;
        const stats = fed.columnStats.read(known, layer);
        return shared ? stats : device.repeat(stats, group.rows.length);
      },
    });
  try {
    let views = viewsOf(true);
    const perLayer = views.flatMap((view) => {
      const actions = group.hooks().cache?.finishLayer?.(view);
      return actions === undefined ? [] : [actions];
    });
    if (perLayer.length > 0) {
      applyPlan(context, group, perLayer, held);
      views = viewsOf(false);
    }
    const fork = createFork(context, group, perLayer.length === 0);
    const plan: CachePlan | undefined = await group.hooks().cache?.finishPrefill?.(views, fork);
    if (plan !== undefined) applyPlan(context, group, plan, held);
  } finally {
    device.addon.closeScope(scope);
  }
  if (group.state.hasPages)
    shapes.forEach((_, layer) => {
      group.state.refresh(
        layer,
        [...group.caches],
        group.rows.map(() => 0),
      );
    });
  group.takeBill();
  // What the boundary itself moved is no step's traffic.
  for (const row of group.rows) endTierStep(row);
};

export const forkRow = (
  context: ModelContext,
  resolved: ResolvedSetting,
  base: CacheId,
  sequence: Row['sequence'],
  evidence: readonly TokenSpan[],
  { nextPosition, slots, released }: Pick<PrefillResult, 'nextPosition' | 'slots' | 'released'> = {},
): Row => ({
  key: resolved.key,
  resolved,
  cache: context.device.addon.cacheFork(base),
  nextPosition: nextPosition ?? sequence.length,
  sequence,
  evidence,
  slots: slots?.slice() ?? new Int32Array(totalHeads(context.shapes)).fill(sequence.length),
  ...(released === undefined ? {} : { released: released.slice() }),
  quantised: new Map(),
  evidenceSlots: new Map(),
  fullReadBytes: context.shapes.reduce((sum, shape, layer) => {
    const length = slots?.[headOffset(context.shapes, shape.kvSource)] ?? sequence.length;
    return sum + length * headsRead(context.shapes, layer) * slotBytes(shape, context.elementBytes);
  }, 0),
});

export const windowRows = (setting: ResolvedSetting, questionTokens: number): number => {
  let rows = 0;
  for (const need of setting.declaration.needs) {
    if ('view' in need && need.view === 'windowQueries')
      rows = Math.max(rows, need.last === 'question' ? questionTokens : need.last);
  }
  return rows;
};
