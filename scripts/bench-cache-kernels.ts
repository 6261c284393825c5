import type { Addon, CacheId, Isa, TensorId } from '../native/addon-types.js';
import { loadAddon } from '../native/index.js';
import { fillCache, randomValues } from './bench-kernels.js';
import { alone, type BenchRow, medianMs } from './bench-rows.js';

/** Query heads, KV heads and head width of the default model. */
const [QUERY_HEADS, HEADS, DIM] = [9, 3, 64] as const;
const SLOTS = 4096;
const RANK = 16;
const CLUSTERS = 256;
const ROUNDS = 4;
/** Entries of a merge and of each side of the cosines. */
const LISTED = 1024;

interface Bench {
  readonly addon: Addon;
  readonly caches: Int32Array;
  readonly q: TensorId;
  f32(shape: number[]): TensorId;
  i32(shape: number[], value: (i: number) => number): TensorId;
}

interface Primitive {
  readonly name: string;
  readonly shape: string;
  /** Work of one call: multiply-adds or bytes. */
  readonly work: { readonly amount: number; readonly unit: 'GFLOP/s' | 'GB/s' };
  prepare(bench: Bench): () => void;
}

const slotBytes = (elementBytes: number): number => HEADS * SLOTS * DIM * elementBytes;
const flops = (multiplyAdds: number) => ({ amount: 2 * multiplyAdds, unit: 'GFLOP/s' }) as const;
const bytes = (amount: number) => ({ amount, unit: 'GB/s' }) as const;

/** Every step's copy of the cache is part of the ops that change slots: pages are shared until one side writes. */
const onFork =
  ({ addon, caches }: Bench, change: (fork: CacheId) => void) =>
  (): void => {
    const fork = addon.cacheFork(caches[0]!);
    change(fork);
    addon.cacheFree(fork);
  };

const primitives = (elementBytes: number): readonly Primitive[] => [
  {
    name: 'merge',
    shape: `${LISTED} of ${SLOTS} slots, keys and values`,
    work: bytes(2 * HEADS * LISTED * DIM * elementBytes),
    prepare(bench) {
      const from = bench.i32([HEADS, LISTED], (i) => 4 * (i % LISTED) + 1);
      const into = bench.i32([HEADS, LISTED], (i) => 4 * ((i * 7) % LISTED));
      const lens = bench.i32([HEADS], () => LISTED);
      const ones = bench.addon.tensor('f32', [HEADS, LISTED]);
      bench.addon.upload(ones, new Float32Array(HEADS * LISTED).fill(1));
      return onFork(bench, (fork) => bench.addon.cacheMerge(fork, 0, from, lens, into, ones, 1, 0, 1));
    },
  },
  {
    name: 'rotate',
    shape: `${SLOTS} slots`,
    work: bytes(2 * slotBytes(elementBytes)),
    prepare(bench) {
      const slots = bench.i32([HEADS, SLOTS], () => 0);
      const lens = bench.i32([HEADS], () => -1);
      const moves = [1, -1].map((move) => bench.i32([HEADS, SLOTS], () => move));
      const table = bench.f32([SLOTS, DIM]);
      let turn = 0;
      return () => bench.addon.cacheRotate(bench.caches[0]!, 0, slots, lens, moves[turn++ % 2]!, table);
    },
  },
  {
    name: 'keep-channels',
    shape: `${DIM / 2} of ${DIM} channels, ${SLOTS} slots`,
    work: bytes(slotBytes(elementBytes)),
    prepare(bench) {
      const channels = bench.i32([HEADS, DIM / 2], (i) => 2 * (i % (DIM / 2)));
      const lens = bench.i32([HEADS], () => DIM / 2);
      return onFork(bench, (fork) => bench.addon.cacheKeepChannels(fork, 0, SLOTS, channels, lens));
    },
  },
  {
    name: 'channel-scores',
    shape: `${RANK} channels, ${SLOTS} slots`,
    work: flops(QUERY_HEADS * SLOTS * RANK),
    prepare({ addon, caches, q, i32 }) {
      const channels = i32([1, HEADS, RANK], (i) => 4 * (i % RANK));
      const lens = i32([1, HEADS], () => RANK);
      return () => addon.free(addon.channelScores(q, caches, 0, channels, lens, 3));
    },
  },
  {
    name: 'project-slots',
    shape: `rank ${RANK}, ${SLOTS} slots`,
    work: flops(HEADS * SLOTS * DIM * RANK),
    prepare({ addon, caches, f32 }) {
      const basis = f32([HEADS, RANK, DIM]);
      return () => addon.free(addon.projectSlots(caches, 0, 0, basis, 0));
    },
  },
  {
    name: 'plane-scores',
    shape: `width ${RANK}, ${SLOTS} slots`,
    work: flops(QUERY_HEADS * SLOTS * RANK),
    prepare({ addon, f32 }) {
      const [q, plane] = [f32([1, 1, QUERY_HEADS * RANK]), f32([1, HEADS, SLOTS, RANK])];
      const used = new Int32Array(HEADS).fill(SLOTS);
      return () => addon.free(addon.planeScores(q, plane, used, QUERY_HEADS, 3));
    },
  },
  {
    name: 'pairwise-cosine',
    shape: `${LISTED} x ${LISTED} slots`,
    work: flops(HEADS * LISTED * LISTED * DIM),
    prepare({ addon, caches, i32 }) {
      const [left, right] = [0, 1].map((first) => i32([1, HEADS, LISTED], (i) => 2 * (i % LISTED) + first));
      const lens = i32([1, HEADS], () => LISTED);
      return () => addon.free(addon.pairwiseCosine(caches, 0, 0, left!, lens, right!, lens));
    },
  },
  {
    name: 'k-means',
    shape: `${CLUSTERS} clusters, ${ROUNDS} rounds, ${SLOTS} slots`,
    work: flops((ROUNDS + 1) * HEADS * SLOTS * CLUSTERS * DIM),
    prepare:
      ({ addon, caches }) =>
      () => {
        for (const t of addon.kMeans(caches, 0, 0, CLUSTERS, ROUNDS, 0, 0)) addon.free(t);
      },
  },
  {
    name: 'group-means',
    shape: `${CLUSTERS} groups, ${SLOTS} slots`,
    work: bytes(slotBytes(elementBytes)),
    prepare({ addon, caches, i32 }) {
      const assignment = i32([1, HEADS, SLOTS], (i) => (i * 31) % CLUSTERS);
      return () => addon.free(addon.groupMeans(caches, 0, 0, assignment, CLUSTERS));
    },
  },
  {
    name: 'softmax-lists',
    shape: `${QUERY_HEADS} x ${SLOTS}`,
    work: bytes(QUERY_HEADS * SLOTS * 8),
    prepare({ addon, f32 }) {
      const x = f32([1, QUERY_HEADS, SLOTS]);
      return () => addon.free(addon.softmaxLists(x));
    },
  },
  {
    name: 'entropy-lists',
    shape: `${QUERY_HEADS} x ${SLOTS}`,
    work: bytes(QUERY_HEADS * SLOTS * 4),
    prepare({ addon, f32 }) {
      const weights = addon.softmaxLists(f32([1, QUERY_HEADS, SLOTS]));
      return () => addon.free(addon.entropyLists(weights));
    },
  },
  {
    name: 'argmax-lists',
    shape: `${QUERY_HEADS} x ${SLOTS}`,
    work: bytes(QUERY_HEADS * SLOTS * 4),
    prepare({ addon, f32 }) {
      const x = f32([1, QUERY_HEADS, SLOTS]);
      return () => addon.free(addon.argmaxLists(x));
    },
  },
  {
    name: 'top-p',
    shape: `0.9 of ${QUERY_HEADS} x ${SLOTS}`,
    work: bytes(QUERY_HEADS * SLOTS * 4),
    prepare({ addon, f32 }) {
      const weights = addon.softmaxLists(f32([1, QUERY_HEADS, SLOTS]));
      return () => {
        for (const t of addon.topP(weights, 0.9, 4, 8)) addon.free(t);
      };
    },
  },
];

/** Primitives of cache actions and of scores by parts of keys, on the instruction sets that anything long runs on. */
export function* benchCacheKernels(threads: number): Generator<BenchRow> {
  const addon = loadAddon();
  for (const isa of addon.cpuFacts().isas.filter((one) => one !== 'scalar')) yield* benchOnIsa(addon, isa, threads);
}

function* benchOnIsa(addon: Addon, isa: Isa, threads: number): Generator<BenchRow> {
  const act = addon.configure(isa, 'native', threads);
  const cache = addon.cacheCreate(addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM)));
  const scope = addon.openScope();
  try {
    fillCache(addon, cache, HEADS, DIM, SLOTS);
    const sizeOf = (shape: number[]): number => shape.reduce((a, b) => a * b, 1);
    const made = (dtype: 'f32' | 'i32' | 'bf16', shape: number[], values: Float32Array | Int32Array): TensorId => {
      const t = addon.tensor(dtype, shape);
      addon.upload(t, values);
      return t;
    };
    const bench: Bench = {
      addon,
      caches: Int32Array.of(cache),
      q: made(act, [1, 1, QUERY_HEADS * DIM], randomValues(QUERY_HEADS * DIM)),
      f32: (shape) => made('f32', shape, randomValues(sizeOf(shape))),
      i32: (shape, value) =>
        made(
          'i32',
          shape,
          Int32Array.from({ length: sizeOf(shape) }, (_, i) => value(i)),
        ),
    };
    for (const { name, shape, work, prepare } of primitives(act === 'bf16' ? 2 : 4)) {
      const { ms, rounds } = medianMs(prepare(bench));
      yield alone({ name, isa, shape: `${shape} ${act}` }, ms, rounds, {
        value: work.amount / ms / 1e6,
        unit: work.unit,
      });
    }
  } finally {
    addon.closeScope(scope);
    addon.cacheFree(cache);
  }
}
