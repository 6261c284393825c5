/** Prompts with windows and log-sums on the CUDA backend, against the portable call of the same backend, which knows no shortcut. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Addon, CacheId, TensorId } from '../addon-types.js';
import { loadAddon } from '../index.js';
import { hostSkip, openHostBackend } from './test/host-backend.js';

const [HEADS, KV_HEADS, DIM] = [4, 2, 64];
const storable = (i: number): number => ((Math.imul(i + 3, 2654435761) >>> 24) - 128) / 64;

describe('a prompt on the CUDA backend', { skip: hostSkip }, () => {
  let cuda: Addon;
  let cpu: Addon;
  before(() => {
    cuda = openHostBackend();
    cpu = loadAddon();
    cpu.configure(cpu.cpuFacts().isas[0]!, 'reference', 1);
  });

  const filled = (addon: Addon, slots: number): CacheId => {
    const cache = addon.cacheCreate(addon.cacheLayout(Int32Array.of(KV_HEADS), Int32Array.of(DIM), Int32Array.of(DIM)));
    const make = (dtype: 'f32' | 'i32' | 'bf16', shape: number[], of: (i: number) => number): TensorId => {
      const t = addon.tensor(dtype, shape);
      const size = shape.reduce((a, b) => a * b, 1);
      const values = Array.from({ length: size }, (_, i) => of(i));
      addon.upload(t, dtype === 'i32' ? Int32Array.from(values) : Float32Array.from(values));
      return t;
    };
    // Keys and values stand behind the queries of a fused projection; the table turns by angle 0.
    const act = addon === cuda ? 'bf16' : 'f32';
    addon.ropeAppend(
      make(act, [slots, (HEADS + 2 * KV_HEADS) * DIM], storable),
      make('i32', [slots], (i) => i),
      make('f32', [slots, DIM], (i) => (i % DIM < DIM / 2 ? 1 : 0)),
      HEADS,
      Int32Array.of(cache),
      0,
      0,
      0,
      0,
      0,
      make(act, [slots, HEADS * DIM], () => 0),
    );
    return cache;
  };

  for (const [name, windows] of Object.entries({
    'one window for all heads': [3, 20, 3, 20, 3, 20, 3, 20],
    'a window of its own for a head': [3, 20, 3, 20, 0, 9, 3, 20],
    'sinks alone': [5, 0, 5, 0, 5, 0, 5, 0],
    everything: [-1, 4, -1, 4, -1, 4, -1, 4],
  })) {
    test(`${name}: outputs and log-sums are those of the CPU`, () => {
      const [queries, slots] = [80, 130];
      const answers = [cuda, cpu].map((addon) => {
        const scope = addon.openScope();
        const cache = filled(addon, slots);
        const act = addon === cuda ? 'bf16' : 'f32';
        const q = addon.tensor(act, [queries, HEADS * DIM]);
        addon.upload(
          q,
          Float32Array.from({ length: queries * HEADS * DIM }, (_, i) => storable(11 * i)),
        );
        const [out, lse] = [addon.tensor(act, [queries, HEADS * DIM]), addon.tensor('f32', [queries, HEADS])];
        const w = addon.tensor('i32', [HEADS, 2]);
        addon.upload(w, Int32Array.from(windows));
        addon.attendPrefill(q, cache, 0, 0.125, 0, 0, w, out, lse);
        const answer = [addon.download(out) as Float32Array, addon.download(lse) as Float32Array];
        addon.closeScope(scope);
        addon.cacheFree(cache);
        return answer;
      });
      const [got, want] = answers;
      for (const [which, bound] of [
        [0, 8e-3],
        [1, 1e-4],
      ] as const) {
        got![which]!.forEach((x, i) => {
          const y = want![which]![i]!;
          assert.ok(Math.abs(x - y) <= bound * (1 + Math.abs(y)) || x === y, `${which}, ${i}: ${x} for ${y}`);
        });
      }
    });
  }
});
