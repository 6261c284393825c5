import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createGraph } from './graph.js';
import { encode, type Field, message } from './protobuf.js';
import { openSession } from './session.js';

test('fields are written as the wire format says', () => {
  const inner = message([1, { int: 150 }]);
  const cases: [Field, string][] = [
    [[1, { int: 150 }], '089601'],
    [[1, { int: -1 }], '08ffffffffffffffffff01'],
    [[2, { text: 'testing' }], '120774657374696e67'],
    [[3, { message: inner }], '1a03089601'],
    [[6, { ints: [3, 270, 86_942] }], '3206038e029ea705'],
    [[5, { float: 1 }], '2d0000803f'],
    [[16, { texts: ['a', ''] }], '82010161820100'],
    [[3, { messages: [inner, inner] }], '1a030896011a03089601'],
    [[4, undefined], ''],
    [[4, { ints: [] }], ''],
  ];
  for (const [field, hex] of cases) assert.equal(Buffer.from(encode(message(field))).toString('hex'), hex);
});

test('a graph of weights, constants and operators with attributes gives the closed form', async () => {
  const g = createGraph('affine');
  const x = g.input('x', 'f32', ['T', 3]);
  const w = g.weight('w', Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
  const product = g.node('Gemm', [x, w], { transB: 1, 'alpha:f': 0.5 });
  const [left, right] = g.nodes('Split', [product, g.ints(1, 1)], 2, { axis: -1 });
  g.output('y', g.node('Sub', [right!, g.node('Mul', [left!, g.scalar(2)])]), 'f32', ['T', 1]);
  const session = await openSession('affine', g.build(), 1);
  try {
    const feeds = { x: { f32: Float32Array.of(1, 1, 1, 0, 0, 1), shape: [2, 3] } };
    const { y } = await session.run(feeds, ['y']);
    // 0.5 (4 + 5 + 6) - 2 * 0.5 (1 + 2 + 3), and 0.5 * 6 - 2 * 0.5 * 3
    assert.deepEqual([...y!.data], [1.5, 0]);
    assert.deepEqual(y!.shape, [2, 1]);
  } finally {
    await session.close();
  }
});

test('equal constants are stored once', () => {
  const g = createGraph('constants');
  assert.equal(g.ints(1, 2), g.ints(1, 2));
  assert.notEqual(g.ints(1), g.int(1));
  assert.notEqual(g.scalar(0), g.scalar(-0));
});

test('a graph that the runtime refuses is a bug of ours, a file that it refuses is the file', async () => {
  const g = createGraph('broken');
  g.output('y', g.node('NoSuchOperator', [g.input('x', 'f32', [1])]), 'f32', [1]);
  await assert.rejects(openSession('broken graph', g.build(), 1), { code: 'ERR_INTERNAL', message: /NoSuchOperator/ });
  await assert.rejects(openSession('no file', { file: 'no/such/model.onnx' }, 1), { code: 'ERR_MODEL_FORMAT' });
});

test('a model.onnx names no weights outside of its folder', async () => {
  const root = mkdtempSync(join(tmpdir(), 'winnow-onnx-'));
  try {
    writeFileSync(join(root, 'secret'), new Uint8Array(Float32Array.of(1).buffer));
    mkdirSync(join(root, 'model'));
    for (const location of ['../secret', join(root, 'secret')]) {
      const g = createGraph('outside');
      const stolen = g.weight(location, Float32Array.of(0), [1]);
      g.output('y', g.node('Add', [g.input('x', 'f32', [1]), stolen]), 'f32', [1]);
      const file = join(root, 'model', 'model.onnx');
      writeFileSync(file, g.build().model);
      await assert.rejects(openSession('stolen', { file }, 1), { code: 'ERR_MODEL_FORMAT' });
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});
