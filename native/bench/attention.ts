/**
 * Times attention of one layer through the addon and prints one JSON array: prefill and dense decode, per length.
 * Run: node --import tsx native/bench/attention.ts [isa] [threads]. No peer is measured here; `rate` is GFLOP/s for a
 * prefill (causal pairs only) and GB/s of keys and values for a decode step.
 */
import { type Addon, type CacheId, type Isa, loadAddon } from '../index.js';

interface Row {
  readonly name: string;
  readonly isa: string;
  readonly shape: string;
  readonly oursMs: number;
  readonly oursLowMs: number;
  readonly peer: null;
  readonly rate: number;
  readonly rounds: number;
}

const layers = 8;
const model = { numQueryHeads: 9, numKvHeads: 3, headDim: 64 };
const { numQueryHeads, numKvHeads, headDim } = model;
const width = numQueryHeads * headDim;

/** Median and least wall time of `rounds` runs, in milliseconds. */
const timed = (rounds: number, run: () => void): { readonly median: number; readonly least: number } => {
  run();
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  return { median: times[rounds >> 1]!, least: times[0]! };
};

const cacheOf = (addon: Addon, slots: number): CacheId => {
  const each = (value: number) => new Int32Array(layers).fill(value);
  const cache = addon.cacheCreate(addon.cacheLayout(each(numKvHeads), each(headDim), each(headDim)));
  const scope = addon.openScope();
  const tensor = (dtype: 'f32' | 'i32', shape: number[]) => addon.tensor(dtype, shape);
  const values = tensor('f32', [numKvHeads, slots, headDim]);
  addon.upload(
    values,
    Float32Array.from({ length: numKvHeads * slots * headDim }, (_, i) => Math.sin(i)),
  );
  for (let layer = 0; layer < layers; layer++) {
    const plain = [numKvHeads, slots];
    addon.cacheAppend(cache, layer, values, values, tensor('i32', plain), tensor('i32', plain), tensor('f32', plain));
  }
  addon.closeScope(scope);
  return cache;
};

const measure = (addon: Addon, isa: Isa, act: 'f32' | 'bf16', slots: number): Row[] => {
  const cache = cacheOf(addon, slots);
  const scope = addon.openScope();
  const q = addon.tensor(act, [slots, width]);
  addon.upload(
    q,
    Float32Array.from({ length: slots * width }, (_, i) => Math.cos(i)),
  );
  const out = addon.tensor(act, [slots, width]);
  const rounds = slots > 2048 ? 7 : 15;
  const prefill = timed(rounds, () => addon.attendPrefill(q, cache, 0, 0.125, 0, 0, 0, out, 0));
  const one = addon.slice(q, 0, 1);
  const oneOut = addon.tensor(act, [1, width]);
  const decode = timed(rounds, () => {
    for (let layer = 0; layer < layers; layer++) {
      addon.attendDecode(one, Int32Array.of(cache), layer, 1, 0.125, 0, 0, 0, 0, 0, 0, oneOut, 0, 0);
    }
  });
  const operations = 2 * slots * (slots + 1) * numQueryHeads * headDim;
  const bytes = addon.cacheReadBytes(cache, 0).reduce((a, b) => a + b, 0);
  addon.closeScope(scope);
  addon.cacheFree(cache);
  const shape = `n=${slots} Hq=${numQueryHeads} H=${numKvHeads} d=${headDim} ${act}`;
  return [
    {
      name: 'attendPrefill',
      isa,
      shape,
      oursMs: prefill.median,
      oursLowMs: prefill.least,
      peer: null,
      rate: operations / prefill.least / 1e6,
      rounds,
    },
    {
      name: 'attendDecode',
      isa,
      shape,
      oursMs: decode.median / layers,
      oursLowMs: decode.least / layers,
      peer: null,
      rate: (bytes * layers) / decode.least / 1e6,
      rounds,
    },
  ];
};

const addon = loadAddon();
const isa = (process.argv[2] ?? addon.cpuFacts().isas[0]!) as Isa;
const act = addon.configure(isa, 'native', Number(process.argv[3] ?? addon.cpuFacts().cores));
process.stdout.write(
  `${JSON.stringify(
    [1024, 4096].flatMap((slots) => measure(addon, isa, act, slots)),
    undefined,
    2,
  )}\n`,
);
