import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeNpy } from './npy.js';

test('an npy file starts with the magic, names dtype and shape, and aligns its data to 64 bytes', () => {
  const bytes = encodeNpy(Float32Array.of(0, 1.5, -2, 3, 4, 5), [2, 3]);
  assert.deepEqual([...bytes.subarray(0, 8)], [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  const view = new DataView(bytes.buffer);
  const start = 10 + view.getUint16(8, true);
  assert.equal(start % 64, 0);
  const header = new TextDecoder().decode(bytes.subarray(10, start));
  assert.match(header, /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(2, 3\), \} *\n$/);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((i) => view.getFloat32(start + 4 * i, true)),
    [0, 1.5, -2, 3, 4, 5],
  );
  assert.equal(bytes.length, start + 24);
});

test('a one-dimensional shape is written as a Python tuple', () => {
  assert.match(new TextDecoder().decode(encodeNpy(Float32Array.of(1), [1]).subarray(10)), /'shape': \(1,\)/);
});

test('a shape that does not hold the values is refused', () => {
  assert.throws(() => encodeNpy(Float32Array.of(1, 2, 3), [2, 2]), /2x2 holds 4 values, got 3/);
});
