import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadAddon } from '../../native/index.js';
import { createRecorder } from './recorder.js';

suite('a program of calls', () => {
  const addon = loadAddon();
  addon.configure(addon.cpuFacts().isas[0]!, 'reference', 2);
  const gain = addon.tensor('f32', [3]);
  const x = addon.tensor('f32', [2, 3]);
  addon.upload(gain, Float32Array.of(1, 2, 0.5));
  addon.upload(x, Float32Array.of(0.1, -3, 7, 2, 0.25, -1));

  test('gives the bits of the calls made one by one, and only when it is flushed', () => {
    const [alone, together] = [addon.tensor('f32', [2, 3]), addon.tensor('f32', [2, 3])];
    addon.rmsNorm(x, gain, 1e-5, 0, alone);
    addon.rmsNormAdd(x, gain, 1e-5, alone);
    const recorder = createRecorder(addon.replay!);
    recorder.ops.rmsNorm(x, gain, 1e-5, 0, together);
    recorder.ops.rmsNormAdd(x, gain, 1e-5, together);
    assert.deepEqual(addon.download(together), new Float32Array(6));
    recorder.flush();
    assert.deepEqual(addon.download(together), addon.download(alone));
    recorder.flush();
    assert.deepEqual(addon.download(together), addon.download(alone));
  });

  test('passes lists of any length', () => {
    const layout = addon.cacheLayout(Int32Array.of(1), Int32Array.of(8), Int32Array.of(8));
    const caches = Int32Array.from({ length: 1500 }, () => addon.cacheCreate(layout));
    const rows = caches.length;
    const qkv = addon.tensor('f32', [rows, 24]);
    const positions = addon.tensor('i32', [rows]);
    const table = addon.tensor('f32', [1, 8]);
    const q = addon.tensor('f32', [rows, 8]);
    const recorder = createRecorder(addon.replay!);
    recorder.ops.ropeAppend(qkv, positions, table, 1, caches, 0, 0, 0, 0, 1e-5, q);
    recorder.ops.ropeAppend(qkv, positions, table, 1, caches.subarray(3, 5), 0, 0, 0, 0, 1e-5, q);
    recorder.flush();
    assert.deepEqual(addon.cacheLens(caches[1499]!), Int32Array.of(1));
    assert.deepEqual(addon.cacheLens(caches[4]!), Int32Array.of(1 + rows / 2));
    // A list that was passed before the flush is passed again; after `clear` another one may lie at its place.
    recorder.ops.ropeAppend(qkv, positions, table, 1, caches, 0, 0, 0, 0, 1e-5, q);
    recorder.flush();
    assert.deepEqual(addon.cacheLens(caches[1499]!), Int32Array.of(2));
    recorder.clear();
    recorder.ops.ropeAppend(qkv, positions, table, 1, caches.slice().reverse(), 0, 0, 0, 0, 1e-5, q);
    recorder.flush();
    assert.deepEqual(addon.cacheLens(caches[1499]!), Int32Array.of(3));
    for (const cache of caches) addon.cacheFree(cache);
  });

  test('that fails names the call, and is forgotten', () => {
    const recorder = createRecorder(addon.replay!);
    recorder.ops.rmsNorm(x, gain, 1e-5, 0, gain);
    assert.throws(() => recorder.flush(), { code: 'ERR_SHAPE', message: /rmsNorm\.out/ });
    recorder.flush();
  });

  test('that makes no sense is refused', () => {
    const lists = new Int32Array(0);
    for (const program of [[99, 0], [-1, 0], [1, 40], [1, -1], [1.5, 0], [1], [Number.NaN, 0]])
      assert.throws(() => addon.replay!(Float64Array.from(program), program.length, lists), { code: 'ERR_SHAPE' });
    // A list that reaches beyond the lists.
    const append = [6, 11, x, x, x, 1, 0, 0, 0, 0, 0, 1e-5, x];
    assert.throws(() => addon.replay!(Float64Array.from(append), append.length, Int32Array.of(5, 1)), {
      code: 'ERR_SHAPE',
    });
    assert.throws(() => addon.replay!(Float64Array.from(append), append.length, lists), { code: 'ERR_SHAPE' });
  });
});
