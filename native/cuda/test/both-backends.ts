/** The CUDA backend, with this machine as its device, beside the CPU: one small cache in both, and what is asked of both. */
import assert from 'node:assert/strict';
import type { Addon, CacheId, LayoutId, TensorId } from '../../addon-types.js';
import { loadAddon } from '../../index.js';
import { noise, tensorOf } from '../../test/tensors.js';
import { openHostBackend } from './host-backend.js';

export const HEADS = 2;
export const DIM = 32;

/** Values that bf16 holds, so that both backends store the same. */
export const coarse = (seed: number, count: number): Float32Array =>
  noise(seed, count).map((x) => Math.round(x * 64) / 64);

export const i32 = (addon: Addon, shape: number[], values: readonly number[]): TensorId =>
  tensorOf(addon, 'i32', shape, Int32Array.from(values));
export const f32 = (addon: Addon, shape: number[], values: ArrayLike<number>): TensorId =>
  tensorOf(addon, 'f32', shape, Float32Array.from(values));

export const layoutOf = (addon: Addon): LayoutId =>
  addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM));

/** A cache of one layer whose heads hold `lens` slots. */
export const cacheOf = (addon: Addon, lens: readonly number[], seed: number, layout = layoutOf(addon)): CacheId => {
  const cache = addon.cacheCreate(layout);
  const most = Math.max(...lens);
  const entries = HEADS * most;
  const scope = addon.openScope();
  addon.cacheAppend(
    cache,
    0,
    f32(addon, [HEADS, most, DIM], coarse(seed, entries * DIM)),
    f32(addon, [HEADS, most, DIM], coarse(seed + 1, entries * DIM)),
    i32(
      addon,
      [HEADS, most],
      Array.from({ length: entries }, (_, i) => i % most),
    ),
    i32(
      addon,
      [HEADS, most],
      Array.from({ length: entries }, (_, i) => (i % most < lens[Math.floor(i / most)]! ? 1 + (i % 3) : -1)),
    ),
    f32(addon, [HEADS, most], coarse(seed + 2, entries)),
  );
  addon.closeScope(scope);
  return cache;
};

export interface BothBackends {
  readonly cuda: Addon;
  readonly cpu: Addon;
  /** Both give the same shapes and integers, and floats within a relative RMS. */
  assertSame(bound: number, run: (addon: Addon) => readonly TensorId[]): void;
}

/** Opens both, the CPU in reference numerics. */
export const openBoth = (): BothBackends => {
  const cuda = openHostBackend();
  const cpu = loadAddon();
  cpu.configure(cpu.cpuFacts().isas[0]!, 'reference', 1);
  const assertSame = (bound: number, run: (addon: Addon) => readonly TensorId[]): void => {
    const [got, want] = [cuda, cpu].map((addon) => {
      const scope = addon.openScope();
      const results = run(addon).map((t) => ({ shape: addon.shape(t), values: addon.download(t) }));
      addon.closeScope(scope);
      return results;
    });
    want!.forEach(({ shape, values }, i) => {
      assert.deepEqual(got![i]!.shape, shape, `shape of result ${i}`);
      if (values instanceof Int32Array) {
        assert.deepEqual(got![i]!.values, values, `result ${i}`);
        return;
      }
      const sum = (of: (k: number) => number): number => {
        let total = 0;
        for (let k = 0; k < values.length; k++) total += of(k) ** 2;
        return total;
      };
      const error = Math.sqrt(
        sum((k) => got![i]!.values[k]! - values[k]!) /
          Math.max(
            1e-30,
            sum((k) => values[k]!),
          ),
      );
      assert.ok(error <= bound, `result ${i}: relative RMS ${error}`);
    });
  };
  return { cuda, cpu, assertSame };
};
