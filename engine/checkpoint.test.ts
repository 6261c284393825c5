import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openCheckpoint, tensorOf } from './checkpoint.js';
import { type TinyModelOptions, tinyConfig, writeTinyModel } from './tiny-model.js';
import { decodeWeights } from './tiny-model-quantise.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-checkpoint-'));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const tiny = (options: Partial<TinyModelOptions> = {}): string =>
  writeTinyModel(join(root, String(folders++)), options);

/** Weights by canonical name, in f32, rotary rows back in two halves. */
function weightsOf(path: string): Map<string, Float32Array> {
  const checkpoint = openCheckpoint(path);
  const weights = new Map<string, Float32Array>();
  for (const { name, type, shape, bytes, interleavedHeads } of checkpoint.tensors.values()) {
    const values = decodeWeights(bytes, type);
    weights.set(name, interleavedHeads === 0 ? values : inHalves(values, shape, interleavedHeads));
  }
  checkpoint.close();
  return weights;
}

function inHalves(values: Float32Array, shape: readonly number[], heads: number): Float32Array {
  const [rows, columns] = shape as [number, number];
  const headDim = rows / heads;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const target = row - inHead + (inHead >> 1) + (inHead % 2) * (headDim / 2);
    out.set(values.subarray(row * columns, (row + 1) * columns), target * columns);
  }
  return out;
}

suite('openCheckpoint', () => {
  test('a GGUF file, a safetensors file and shards of the same seed hold the same weights', () => {
    const options = { kvHeads: 2, layers: 3, tiedEmbeddings: false };
    const gguf = weightsOf(tiny({ ...options, format: 'gguf' }));
    for (const shards of [1, 3]) assert.deepEqual(weightsOf(tiny({ ...options, format: 'safetensors', shards })), gguf);
    assert.equal(gguf.size, 3 + 3 * 9);
  });

  for (const type of ['F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1'] as const) {
    test(`${type} matrices are found where they lie and stand for about the same values`, () => {
      const exact = weightsOf(tiny());
      const stored = weightsOf(tiny({ type }));
      const bound = { F16: 1e-3, BF16: 1e-2, Q8_0: 2e-2, Q4_0: 0.3, Q4_1: 0.2 }[type];
      for (const [name, values] of exact) {
        const most = Math.max(...values.map(Math.abs));
        const error = Math.max(...stored.get(name)!.map((value, index) => Math.abs(value - values[index]!)));
        assert.ok(error <= bound * most, `${name}: ${error}`);
      }
    });
  }

  test('the configuration is the one that was written, in both formats', () => {
    for (const format of ['gguf', 'safetensors'] as const) {
      for (const scaling of [{ kind: 'none' }, { kind: 'linear', factor: 2.5 }] as const) {
        const options = { format, ropeScaling: scaling, queryHeads: 4, kvHeads: 2 };
        const { normEpsilon, name, ...rest } = openCheckpoint(tiny(options)).config;
        const { normEpsilon: expectedEpsilon, name: _, ...expected } = tinyConfig(options);
        assert.deepEqual(rest, expected);
        assert.equal(Math.fround(normEpsilon), Math.fround(expectedEpsilon));
      }
    }
  });

  test('rope factors of a GGUF file and llama3 scaling of a config.json arrive', () => {
    const factors = [1, 1, 1, 2, 4, 8, 8, 8];
    assert.deepEqual(openCheckpoint(tiny({ ropeScaling: { kind: 'factors', factors } })).config.ropeScaling, {
      kind: 'factors',
      factors,
    });
    const llama3 = {
      kind: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 64,
    } as const;
    assert.deepEqual(openCheckpoint(tiny({ format: 'safetensors', ropeScaling: llama3 })).config.ropeScaling, llama3);
  });

  test('only Q and K of a GGUF file carry interleaved heads', () => {
    const { tensors } = openCheckpoint(tiny({ queryHeads: 4, kvHeads: 2 }));
    const heads = [...tensors.values()]
      .filter(({ interleavedHeads }) => interleavedHeads > 0)
      .map(({ name, interleavedHeads }) => [name, interleavedHeads]);
    assert.deepEqual(heads, [
      ['layers.0.attention.q', 4],
      ['layers.0.attention.k', 2],
      ['layers.1.attention.q', 4],
      ['layers.1.attention.k', 2],
    ]);
    const directory = openCheckpoint(tiny({ format: 'safetensors' }));
    assert.ok([...directory.tensors.values()].every(({ interleavedHeads }) => interleavedHeads === 0));
  });

  test('tensor bytes cannot be read after close', () => {
    const checkpoint = openCheckpoint(tiny());
    const tensor = tensorOf(checkpoint, 'embedding');
    assert.equal(tensor.bytes.length, tensor.byteLength);
    checkpoint.close();
    assert.throws(() => tensor.bytes, { code: 'ERR_INTERNAL' });
  });

  test('a file cut short is refused with the tensor, the offset and the size', () => {
    const path = tiny();
    const { length } = readFileSync(path);
    for (const size of [length - 4_000, Math.floor(length / 2), 1_000, 100, 23, 3, 0]) {
      truncateSync(path, size);
      assert.throws(() => openCheckpoint(path), {
        code: 'ERR_MODEL_FORMAT',
        message: /at byte \d+: expected .*, got /,
      });
    }
  });

  test('a missing tensor and a tensor of another shape are named', () => {
    const path = tiny();
    const bytes = readFileSync(path);
    const at = bytes.indexOf('blk.1.ffn_up.weight');
    bytes.write('blk.1.ffn_xx.weight', at);
    writeFileSync(path, bytes);
    assert.throws(() => openCheckpoint(path), { code: 'ERR_MODEL_FORMAT', message: /blk\.1\.ffn_up\.weight/ });

    const directory = tiny({ format: 'safetensors' });
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
    writeFileSync(join(directory, 'config.json'), JSON.stringify({ ...config, intermediate_size: 128 }));
    assert.throws(() => openCheckpoint(directory), {
      code: 'ERR_MODEL_FORMAT',
      message: /mlp\.gate_proj\.weight .*shape \[128, 64\], got "\[96, 64\]"/,
    });
  });

  test('other architectures, experts and rope scalings are unsupported by name', () => {
    const directory = tiny({ format: 'safetensors' });
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
    const cases: [object, RegExp][] = [
      [{ model_type: 'mamba' }, /one of llama, mistral, .*got "mamba"/],
      [{ rope_scaling: { rope_type: 'xpos', factor: 4 } }, /none, linear, .*got "xpos"/],
      [{ hidden_act: 'relu' }, /got "relu"/],
      [{ attention_bias: true }, /attention_bias/],
    ];
    for (const [change, message] of cases) {
      writeFileSync(join(directory, 'config.json'), JSON.stringify({ ...config, ...change }));
      assert.throws(() => openCheckpoint(directory), { code: 'ERR_UNSUPPORTED', message });
    }
  });

  test('sizes that contradict one another are refused before weights are looked for', () => {
    const directory = tiny({ format: 'safetensors' });
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
    for (const change of [
      { num_key_value_heads: 3 },
      { num_hidden_layers: 1e9 },
      { vocab_size: 0 },
      { rms_norm_eps: 2 },
      { head_dim: 15 },
    ]) {
      writeFileSync(join(directory, 'config.json'), JSON.stringify({ ...config, ...change }));
      assert.throws(() => openCheckpoint(directory), { code: 'ERR_MODEL_FORMAT' }, JSON.stringify(change));
    }
  });

  test('shard names that leave the directory are refused', () => {
    const directory = tiny({ format: 'safetensors', shards: 2 });
    const index = join(directory, 'model.safetensors.index.json');
    writeFileSync(index, JSON.stringify({ weight_map: { a: '../secret.safetensors' } }));
    assert.throws(() => openCheckpoint(directory), { code: 'ERR_MODEL_FORMAT', message: /beside it/ });
  });

  test('a path with nothing there is ERR_MISSING', () => {
    assert.throws(() => openCheckpoint(join(root, 'nowhere')), { code: 'ERR_MISSING' });
  });
});
