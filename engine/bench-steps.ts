/** Steps and sessions of the test bench. Only tests import it. */
import type { BenchRequest, BenchSession, BenchStep } from '../methods/conformance-bench.js';
import type { Addon } from '../native/addon-types.js';
import { expectedResidentBytes, residentBytes } from './core/footprint.js';
import { forkGroup, freeGroup, type Group } from './core/group.js';
import { headOffset } from './core/prefill.js';
import type { Row } from './core/rows.js';
import type { ModelContext } from './core/sample.js';
import { runStep, type StepRow } from './core/step.js';

/** The addon with every call counted. */
export const counted = (addon: Addon, calls: { count: number }): Addon =>
  Object.fromEntries(
    Object.entries(addon).map(([name, fn]) => [
      name,
      (...args: never[]) => {
        calls.count++;
        return (fn as (...a: never[]) => unknown)(...args);
      },
    ]),
  ) as unknown as Addon;

const lensByLayer = (context: ModelContext, row: Row): Int32Array[] =>
  context.shapes.map((shape, layer) => {
    const offset = headOffset(context.shapes, layer);
    return row.slots.subarray(offset, offset + shape.numKvHeads);
  });

/** FNV-1a over the bytes of the row's declared state. */
export const stateHash = (context: ModelContext, group: Group, row: Row): string => {
  const values = group.state.snapshot(group.rows.indexOf(row), lensByLayer(context, row));
  let hash = 0xcbf29ce484222325n;
  for (const byte of new Uint8Array(values.buffer)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16);
};

interface StepFacts {
  readonly nativeCalls: number;
  readonly tensorPeakBytes: number;
}

export const benchStep = (
  read: StepRow,
  row: Row,
  phase: 'question' | 'answer',
  queryLen: number,
  facts: StepFacts,
): BenchStep => ({
  phase,
  queryLen,
  slotsBefore: read.slots,
  slotsAfter: row.slots.slice(),
  slotsRead: read.slotsRead,
  kvBytesRead: read.bytesRead,
  kvBytesMoved: read.bytesMoved,
  hostReads: 0,
  ...facts,
});

export const timedStep = (
  context: ModelContext,
  calls: { count: number },
  groups: readonly Group[],
  tokens: readonly Int32Array[],
  phase: 'question' | 'answer',
  step: number,
  poison: boolean,
  accept?: number,
) => {
  const { device, shapes } = context;
  const { addon } = device;
  const queryLen = tokens[0]!.length;
  const ids = new Int32Array(tokens.length * queryLen);
  tokens.forEach((row, r) => {
    ids.set(row, r * queryLen);
  });
  const copies: number[] = [];
  const before = calls.count;
  const outcome = runStep(context, context.transformer, {
    groups,
    ids,
    queryLen,
    phase,
    step,
    logits: accept === undefined ? 'last' : 'all',
    recall: false,
    ...(accept === undefined ? {} : { accept: () => accept }),
    ...(poison
      ? {
          readFrom: (row: Row, layer: number, lists: readonly Int32Array[]) => {
            const copy = addon.cacheFork(row.cache);
            copies.push(copy);
            device.scope(() => {
              const heads = shapes[layer]!.numKvHeads;
              const longest = Math.max(1, ...lists.map((list) => list.length));
              const values = new Int32Array(heads * longest).fill(-1);
              lists.forEach((list, head) => {
                values.set(list, head * longest);
              });
              addon.cachePoison(
                copy,
                layer,
                device.i32(values, [heads, longest]).id,
                device.i32(Int32Array.from(lists, (list) => list.length)).id,
              );
            });
            return copy;
          },
        }
      : {}),
  });
  for (const copy of copies) addon.cacheFree(copy);
  const vocab = context.facts.vocabSize;
  const all = (addon.download(outcome.logits.id) as Float32Array).slice();
  const logits = Array.from({ length: all.length / vocab }, (_, i) => all.subarray(i * vocab, (i + 1) * vocab));
  return {
    outcome: { ...outcome, logits },
    facts: { nativeCalls: calls.count - before, tensorPeakBytes: addon.memory().tensorPeakBytes },
  };
};

export const sessionOf = (
  context: ModelContext,
  calls: { count: number },
  group: Group,
  free: () => void,
  request: BenchRequest,
): BenchSession => {
  const { addon } = context.device;
  const row = group.rows[0]!;
  let steps = 0;
  return {
    async step(tokenIds, accept) {
      const { outcome, facts } = timedStep(
        context,
        calls,
        [group],
        [tokenIds],
        'answer',
        ++steps,
        request.poison === true,
        accept ?? tokenIds.length,
      );
      for (const error of outcome.failures.values()) throw error;
      return { logits: outcome.logits, step: benchStep(outcome.rows[0]!, row, 'answer', tokenIds.length, facts) };
    },
    hash: () => ({ cache: addon.cacheHash(row.cache), state: stateHash(context, group, row) }),
    slots: () => row.slots.slice(),
    bytes: () => ({
      kvCacheBytes: residentBytes(context, group, row),
      expectedKvCacheBytes: expectedResidentBytes(context, group, row),
    }),
    fork() {
      const twin = forkGroup(context, group);
      return sessionOf(context, calls, twin, () => freeGroup(context, twin), request);
    },
    free,
  };
};
