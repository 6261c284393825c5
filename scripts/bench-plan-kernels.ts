import { median } from '../core/statistics.js';
import type { Addon, Isa, TensorId } from '../native/addon-types.js';
import { loadAddon } from '../native/index.js';
import { fillCache, randomValues } from './bench-kernels.js';
import type { BenchRow } from './bench-rows.js';

/** Query heads, KV heads and head width of the default model. */
const [QUERY_HEADS, HEADS, DIM] = [9, 3, 64] as const;
const SLOTS = 4096;
const ROUNDS = 5;
const CAUSAL = (QUERY_HEADS * SLOTS * (SLOTS + 1)) / 2;

interface Bench {
  readonly addon: Addon;
  readonly cache: number;
  readonly q: TensorId;
  readonly out: TensorId;
  readonly lse: TensorId;
}

/** Lists of a set: values i32 [1, lists, (blocks,) longest] and their lens. */
const listTensors = (addon: Addon, lists: readonly (readonly (readonly number[])[])[], isDeep: boolean): number[] => {
  const longest = Math.max(1, ...lists.flat().map((list) => list.length));
  const shape = [1, lists.length, ...(isDeep ? [lists[0]!.length] : [])];
  const values = addon.tensor('i32', [...shape, longest]);
  const lens = addon.tensor('i32', shape);
  addon.upload(
    values,
    Int32Array.from(lists.flat().flatMap((list) => Array.from({ length: longest }, (_, i) => list[i] ?? -1))),
  );
  addon.upload(
    lens,
    Int32Array.from(lists.flat(), (list) => list.length),
  );
  return [values, lens];
};

const range = (start: number, count: number): number[] => Array.from({ length: count }, (_, i) => start + i);

/** First and own block, and a share of those between. */
const blockSet = (addon: Addon, lists: number, block: number, share: number): number[] => {
  let state = 7;
  const chance = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
  const blocks = range(0, SLOTS / block);
  const values = range(0, lists).map(() =>
    blocks.map((query) => blocks.filter((key) => key <= query && (key === 0 || key === query || chance() < share))),
  );
  return [3, ...listTensors(addon, values, true), 0, block, block, 0, 0, 0, 0];
};

const slashSet = (addon: Addon, lists: number): number[] => {
  const columns = range(0, lists).map((list) => [range(0, 500).map((i) => 8 * i + (list % 8))]);
  const diagonals = range(0, lists).map(() => [range(0, 128)]);
  const flat = (values: readonly (readonly (readonly number[])[])[]) => values.map((list) => list[0]!).map((x) => [x]);
  const [v, l] = listTensors(addon, flat(columns), false);
  return [4, v!, l!, 0, 0, 0, 0, 0, ...listTensors(addon, flat(diagonals), false)];
};

const attend = ({ addon, cache, q, out }: Bench, sets: readonly number[]): number =>
  addon.attendSets(
    q,
    Int32Array.of(cache),
    0,
    SLOTS,
    1 / Math.sqrt(DIM),
    0,
    0,
    Int32Array.from(sets),
    new Int32Array(0),
    Int32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
    out,
    0,
    0,
    0,
  );

const cases: readonly { readonly name: string; readonly shape: string; sets(addon: Addon): number[] }[] = [
  { name: 'blocks-all', shape: 'every block of 64, lists by KV head', sets: (addon) => blockSet(addon, HEADS, 64, 1) },
  ...[0.1, 0.3].flatMap((share) => [
    {
      name: 'blocks',
      shape: `blocks of 64, ${share} of them, lists by KV head`,
      sets: (addon: Addon) => blockSet(addon, HEADS, 64, share),
    },
    {
      name: 'blocks',
      shape: `blocks of 128, ${share} of them, lists by query head`,
      sets: (addon: Addon) => blockSet(addon, QUERY_HEADS, 128, share),
    },
  ]),
  {
    name: 'vertical-slash',
    shape: '500 columns and 128 diagonals, lists by KV head',
    sets: (addon) => slashSet(addon, HEADS),
  },
  { name: 'window', shape: '4 sinks, 512 recents', sets: () => [1, 0, 0, 0, 0, 0, 4, 512, 0, 0] },
];

/** Sparse prefill attention beside dense attention at its density, round by round: a ratio of 1 means time in proportion to pairs. */
export function* benchPlanKernels(threads: number): Generator<BenchRow> {
  const addon = loadAddon();
  for (const isa of addon.cpuFacts().isas) {
    if (isa === 'scalar') continue;
    const act = addon.configure(isa, 'native', threads);
    const layout = addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM));
    const cache = addon.cacheCreate(layout);
    const scope = addon.openScope();
    try {
      fillCache(addon, cache, HEADS, DIM, SLOTS);
      const [q, out] = [0, 1].map(() => addon.tensor(act, [SLOTS, QUERY_HEADS * DIM])) as [TensorId, TensorId];
      addon.upload(q, randomValues(SLOTS * QUERY_HEADS * DIM));
      const bench: Bench = { addon, cache, q, out, lse: addon.tensor('f32', [SLOTS, QUERY_HEADS]) };
      for (const { name, shape, sets } of cases) {
        const program = sets(addon);
        yield besideDense(bench, isa, name, shape, () => attend(bench, program));
      }
      const state = addon.tensor('f32', [2, QUERY_HEADS, SLOTS]);
      yield besideDense(bench, isa, 'column-sums', 'all queries', () => {
        addon.columnStats(q, cache, 0, 1 / Math.sqrt(DIM), 0, 0, bench.lse, 0, 0, state);
        return CAUSAL;
      });
    } finally {
      addon.closeScope(scope);
      addon.cacheFree(cache);
    }
  }
}

const besideDense = (bench: Bench, isa: Isa, name: string, shape: string, call: () => number): BenchRow => {
  const { addon, cache, q, out, lse } = bench;
  const dense = (): void => addon.attendPrefill(q, cache, 0, 1 / Math.sqrt(DIM), 0, 0, 0, out, lse);
  const timed = (run: () => void): number => {
    const start = performance.now();
    run();
    return performance.now() - start;
  };
  dense();
  const pairs = call();
  const density = pairs / CAUSAL;
  const rounds = range(0, ROUNDS).map(() => ({ dense: timed(dense) * density, own: timed(call) }));
  const ratios = rounds.map((round) => round.dense / round.own).sort((a, b) => a - b);
  const oursMs = median(rounds.map(({ own }) => own));
  return {
    name,
    isa,
    shape: `${shape}; ${SLOTS} slots, density ${density.toFixed(3)}`,
    oursMs,
    peer: 'dense x density',
    peerMs: median(rounds.map((round) => round.dense)),
    ratio: median(ratios),
    ratioLow: ratios[0]!,
    ratioHigh: ratios.at(-1)!,
    rounds: ROUNDS,
    rate: { value: (4 * pairs * DIM) / oursMs / 1e6, unit: 'GFLOP/s' },
  };
};
