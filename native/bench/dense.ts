// Dense products of the default model's shapes, by hand: node --import tsx native/bench/dense.ts [threads] [isa] [numerics]
import { type Addon, type Isa, loadAddon, type Numerics, type WeightId } from '../index.js';

const HIDDEN = 576;
const FFN = 1536;
const QKV = 960;
const LAYERS = 30;
const VOCABULARY = 49152;
const PROMPT = 1024;

/** Blocks of 32 weights with scale 1/64 (and minimum -1/8): the values hardly matter to the time. */
const blocks = (weights: number, header: readonly number[], codes: number): Uint8Array => {
  const bytes = new Uint8Array((weights / 32) * (header.length + codes));
  for (let i = 0; i < bytes.length; i += header.length + codes) {
    bytes.set(header, i);
    for (let j = header.length; j < header.length + codes; j++) bytes[i + j] = (i * 7 + j * 13) & 255;
  }
  return bytes;
};

const q4 = (addon: Addon, rows: number, cols: number): WeightId => {
  const bytes = blocks(rows * cols, [0, 0x24, 0, 0xb0], 16);
  return addon.packWeight([{ bytes, byteOffset: 0, type: 'Q4_1', rows, cols, interleavedHeads: 0 }], 0);
};

/** Wall time of the fastest and the middle round, in milliseconds; on a busy machine trust the fastest. */
const time = (rounds: number, run: () => void): { best: number; median: number } => {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    run();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { best: times[0]!, median: times[rounds >> 1]! };
};

const benchProducts = (addon: Addon, act: 'f32' | 'bf16', peak: number): void => {
  for (const [cols, rows] of [
    [HIDDEN, QKV],
    [HIDDEN, HIDDEN],
    [HIDDEN, 2 * FFN],
    [FFN, HIDDEN],
  ] as const) {
    const weight = q4(addon, rows, cols);
    const x = addon.tensor(act, [PROMPT, cols]);
    const out = addon.tensor('f32', [PROMPT, rows]);
    const { best, median } = time(15, () => addon.linear(x, weight, 0, 0, out));
    const rate = (ms: number) => (2 * PROMPT * cols * rows) / ms / 1e6;
    const share = ((100 * rate(best)) / peak).toFixed(0);
    console.log(
      `M=${PROMPT} K=${cols} N=${rows}: best ${rate(best).toFixed(0)}, median ${rate(median).toFixed(0)} GFLOP/s, ${share} % of peak`,
    );
    addon.freeWeight(weight);
    addon.free(x);
    addon.free(out);
  }
};

/** All matrices of one step, so that weights come from memory as they do in a real step. */
const benchStep = (addon: Addon, act: 'f32' | 'bf16'): void => {
  const packed = performance.now();
  const layers = Array.from({ length: LAYERS }, () => ({
    qkv: q4(addon, QKV, HIDDEN),
    output: q4(addon, HIDDEN, HIDDEN),
    gateUp: q4(addon, 2 * FFN, HIDDEN),
    down: q4(addon, HIDDEN, FFN),
  }));
  const bytes = blocks(VOCABULARY * HIDDEN, [0, 0x14], 32);
  const source = { bytes, byteOffset: 0, type: 'Q8_0', rows: VOCABULARY, cols: HIDDEN, interleavedHeads: 0 } as const;
  const head = addon.packWeight([source], 0);
  const megabytes = (addon.memory().weightBytes / 1e6).toFixed(0);
  console.log(`packed ${megabytes} MB in ${(performance.now() - packed).toFixed(0)} ms, bytes made up on the way`);
  for (const rows of [1, 2, 4, 8, 16, 64]) {
    const scope = addon.openScope();
    const x = addon.tensor(act, [rows, HIDDEN]);
    const wide = addon.tensor(act, [rows, FFN]);
    const [qkv, hidden, gateUp, logits] = [QKV, HIDDEN, 2 * FFN, VOCABULARY].map((n) => addon.tensor('f32', [rows, n]));
    const { best, median } = time(30, () => {
      for (const w of layers) {
        addon.linear(x, w.qkv, 0, 0, qkv!, 1);
        addon.linear(x, w.output, 0, 1, hidden!, 1);
        addon.linear(x, w.gateUp, 0, 0, gateUp!, 1);
        addon.linear(wide, w.down, 0, 1, hidden!, 1);
      }
      addon.linear(x, head, 0, 0, logits!, 1);
    });
    console.log(`step of ${rows} rows: best ${best.toFixed(2)} ms, median ${median.toFixed(2)} ms`);
    addon.closeScope(scope);
  }
};

const addon = loadAddon();
const threads = Number(process.argv[2] ?? addon.cpuFacts().cores);
const isa = (process.argv[3] ?? addon.cpuFacts().isas[0]) as Isa;
const act = addon.configure(isa, (process.argv[4] ?? 'native') as Numerics, threads);
const peak = addon.benchPeak(act, threads);
console.log(`${isa}, ${threads} threads, ${act} activations, peak ${peak.toFixed(0)} GFLOP/s`);
benchProducts(addon, act, peak);
benchStep(addon, act);
