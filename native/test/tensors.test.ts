import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { WinnowError } from '../../core/errors.js';
import { type Addon, loadAddon } from '../index.js';

/** Asserts one WinnowError of this code whose message names `where`. */
const refuses = (run: () => unknown, code: string, where: string): void => {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof WinnowError, `${String(error)} is not a WinnowError`);
    assert.equal(error.code, code);
    assert.ok(error.message.includes(where), `${error.message} does not name ${where}`);
    return true;
  });
};

describe('tensors', () => {
  let addon: Addon;
  before(() => {
    addon = loadAddon();
    addon.configure('scalar', 'native', 1);
  });

  test('are zero-filled, also where storage is used again', () => {
    const first = addon.tensor('f32', [1000]);
    addon.upload(first, new Float32Array(1000).fill(7));
    addon.free(first);
    const second = addon.tensor('f32', [1000]);
    assert.deepEqual(addon.download(second), new Float32Array(1000));
    addon.free(second);
  });

  test('give back what was uploaded, bf16 rounded to nearest even', () => {
    const values = [1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -0.1, Infinity, 3.4e38];
    const t = addon.tensor('bf16', [values.length]);
    addon.upload(t, Float32Array.from(values));
    assert.deepEqual([...addon.download(t)], [1, 1, 1 + 2 ** -6, Math.fround(-0.10009765625), Infinity, Infinity]);
    addon.upload(t, Uint16Array.of(0x3f80, 0x4000, 0, 0, 0, 0));
    assert.deepEqual([...addon.download(t)], [1, 2, 0, 0, 0, 0]);
    addon.free(t);
  });

  test('slices and reshapes share storage and outlive the tensor they came from', () => {
    const t = addon.tensor('i32', [4, 3]);
    const rows = addon.slice(t, 1, 2);
    const flat = addon.reshape(rows, [6]);
    addon.free(t);
    addon.upload(flat, Int32Array.of(1, 2, 3, 4, 5, 6));
    assert.deepEqual(addon.shape(rows), [2, 3]);
    assert.deepEqual(addon.download(rows), Int32Array.of(1, 2, 3, 4, 5, 6));
    addon.free(rows);
    addon.free(flat);
  });

  test('of a closed scope are freed, kept ones and outer ones live on', () => {
    const before = addon.memory().tensorBytes;
    const outer = addon.openScope();
    const a = addon.tensor('f32', [64]);
    const inner = addon.openScope();
    const b = addon.tensor('f32', [64]);
    const kept = addon.tensor('f32', [64]);
    addon.keep(kept);
    refuses(() => addon.closeScope(outer), 'ERR_SHAPE', 'closeScope');
    addon.closeScope(inner);
    refuses(() => addon.shape(b), 'ERR_SHAPE', 'shape.t');
    assert.deepEqual(addon.shape(a), [64]);
    addon.closeScope(outer);
    refuses(() => addon.shape(a), 'ERR_SHAPE', 'shape.t');
    assert.deepEqual(addon.shape(kept), [64]);
    addon.free(kept);
    assert.equal(addon.memory().tensorBytes, before);
  });

  test('that were freed are refused, and their id is never another tensor', () => {
    const old = addon.tensor('u8', [8]);
    addon.free(old);
    const next = addon.tensor('u8', [8]);
    assert.notEqual(next, old);
    refuses(() => addon.download(old), 'ERR_SHAPE', 'download.t');
    refuses(() => addon.free(old), 'ERR_SHAPE', 'free.t');
    addon.free(next);
  });

  test('copy rows, converting f32 and bf16, and refuse rows that are not there', () => {
    const a = addon.tensor('f32', [3, 2]);
    const b = addon.tensor('bf16', [4, 2]);
    addon.upload(a, Float32Array.of(1, 2, 3, 4, 5, 6));
    addon.copyRows(a, 1, b, 2, 2);
    assert.deepEqual([...addon.download(b)], [0, 0, 0, 0, 3, 4, 5, 6]);
    refuses(() => addon.copyRows(a, 2, b, 0, 2), 'ERR_SHAPE', 'copyRows.srcRow');
    refuses(() => addon.copyRows(a, 0, b, 3, 2), 'ERR_SHAPE', 'copyRows.dstRow');
    const c = addon.tensor('f32', [3, 3]);
    refuses(() => addon.copyRows(a, 0, c, 0, 1), 'ERR_SHAPE', 'copyRows.dst');
    for (const t of [a, b, c]) addon.free(t);
  });

  test('of impossible shapes or wrong data are refused with what was expected', () => {
    refuses(() => addon.tensor('f32', []), 'ERR_SHAPE', 'tensor.shape');
    refuses(() => addon.tensor('f32', [-1]), 'ERR_SHAPE', 'tensor.shape');
    refuses(() => addon.tensor('f32', [2 ** 30, 2 ** 30]), 'ERR_SHAPE', 'tensor.shape');
    refuses(() => addon.tensor('f32', [1.5]), 'ERR_SHAPE', 'tensor.shape');
    const t = addon.tensor('f32', [4]);
    refuses(() => addon.upload(t, new Float32Array(3)), 'ERR_SHAPE', 'upload.data');
    refuses(() => addon.upload(t, new Int32Array(4)), 'ERR_SHAPE', 'upload.data');
    refuses(() => addon.reshape(t, [3]), 'ERR_SHAPE', 'reshape.shape');
    refuses(() => addon.reshape(t, [0, 4]), 'ERR_SHAPE', 'reshape.shape');
    refuses(() => addon.slice(t, 3, 2), 'ERR_SHAPE', 'slice');
    addon.free(t);
  });
});
