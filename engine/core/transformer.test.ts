import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createRandom } from '../../core/random.js';
import type { LayerShape } from '../../methods/contract.js';
import { layerShape } from '../../methods/naive-views.js';
import type { WeightId } from '../../native/addon-types.js';
import { loadAddon } from '../../native/index.js';
import { createDevice } from './device.js';
import { type Architecture, createTransformer, type LayerWeights, type Pass } from './transformer.js';

const hidden = 32;
const vocab = 40;
const random = createRandom('transformer', 1);
const noise = (count: number, scale: number): Float32Array =>
  Float32Array.from({ length: count }, () => scale * (random.float() * 2 - 1));

interface Layer {
  readonly shape: LayerShape;
  readonly ffnSize: number;
}
const softmax = (numQueryHeads: number, numKvHeads: number, headDim: number, ffnSize: number): Layer => ({
  shape: layerShape({ numQueryHeads, numKvHeads, headDim, headDimV: headDim, ropeDims: headDim }),
  ffnSize,
});

/** Plain weights of one layer, for the packed model and for the naive one. */
const plainLayer = ({ shape, ffnSize }: Layer) => {
  const { numQueryHeads, numKvHeads, headDim } = shape;
  return {
    shape,
    ffnSize,
    qkv: noise((numQueryHeads + 2 * numKvHeads) * headDim * hidden, 0.2),
    output: noise(hidden * numQueryHeads * headDim, 0.2),
    gate: noise(ffnSize * hidden, 0.2),
    up: noise(ffnSize * hidden, 0.2),
    down: noise(hidden * ffnSize, 0.2),
    gain: noise(hidden, 1),
    post: noise(hidden, 1),
  };
};
type PlainLayer = ReturnType<typeof plainLayer>;

const product = (weight: Float32Array, x: readonly number[]): number[] =>
  Array.from({ length: weight.length / x.length }, (_, row) =>
    x.reduce((sum, value, col) => sum + value * weight[row * x.length + col]!, 0),
  );
const normed = (x: readonly number[], gain: Float32Array): number[] => {
  const scale = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + 1e-6);
  return x.map((v, i) => v * scale * gain[i]!);
};
const rotated = (x: readonly number[], position: number): number[] => {
  const half = x.length / 2;
  const turn = (pair: number): number => position * 100 ** (-pair / half);
  return x.map((v, i) =>
    i < half
      ? v * Math.cos(turn(i)) - x[i + half]! * Math.sin(turn(i))
      : v * Math.cos(turn(i - half)) + x[i - half]! * Math.sin(turn(i - half)),
  );
};

/** The same model from its definition: one token after another, every head by itself. */
const naive = (layers: readonly PlainLayer[], embedding: Float32Array, ids: readonly number[]): number[][] => {
  let states = ids.map((id) => Array.from(embedding.subarray(id * hidden, (id + 1) * hidden), (v) => v * 3));
  const add = (x: number[], part: number[], post: Float32Array): number[] => {
    const extra = normed(part, post);
    return x.map((v, i) => v + extra[i]!);
  };
  for (const { shape, ffnSize: _, ...w } of layers) {
    const { numQueryHeads, numKvHeads, headDim, softmaxScale, mixer } = shape;
    if (mixer === 'softmax') {
      const fused = states.map((x) => product(w.qkv, normed(x, w.gain)));
      const head = (t: number, index: number): number[] => fused[t]!.slice(index * headDim, (index + 1) * headDim);
      states = states.map((x, t) => {
        const out: number[] = [];
        for (let h = 0; h < numQueryHeads; h++) {
          const g = numQueryHeads + Math.floor((h * numKvHeads) / numQueryHeads);
          const q = rotated(head(t, h), t);
          const weights = Array.from({ length: t + 1 }, (_, s) =>
            Math.exp(softmaxScale * rotated(head(s, g), s).reduce((sum, k, c) => sum + k * q[c]!, 0)),
          );
          const total = weights.reduce((a, b) => a + b);
          for (let c = 0; c < headDim; c++)
            out.push(weights.reduce((sum, p, s) => sum + (p / total) * head(s, g + numKvHeads)[c]!, 0));
        }
        return add(x, product(w.output, out), w.post);
      });
    }
    states = states.map((x) => {
      const input = normed(x, w.gain);
      const up = product(w.up, input);
      const gated = product(w.gate, input).map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!);
      return add(x, product(w.down, gated), w.post);
    });
  }
  return states.map((x) =>
    product(embedding, normed(x, new Float32Array(hidden).fill(1))).map((v) => 5 * Math.tanh(v / 5)),
  );
};

suite('layers of one model', () => {
  test('may differ in heads, widths and attention: the logits are those of the definition, in one pass and in steps', () => {
    const addon = loadAddon();
    const device = createDevice(addon, addon.configure('scalar', 'reference', 1));
    const none = {
      ...softmax(0, 0, 16, 32),
      shape: { ...softmax(0, 0, 16, 32).shape, mixer: 'none' as const, evictable: false },
    };
    const plain = [softmax(4, 2, 16, 32), none, softmax(3, 1, 24, 40)].map(plainLayer);
    const embedding = noise(vocab * hidden, 0.5);
    const pack = (cols: number, parts: Float32Array[], interleave = 0): WeightId =>
      addon.packWeight(
        parts.map((values) => ({
          bytes: new Uint8Array(values.buffer),
          byteOffset: 0,
          type: 'F32' as const,
          rows: values.length / cols,
          cols,
          interleavedHeads: 0,
        })),
        interleave,
      );
    const vector = (values: Float32Array): number => {
      const t = device.lasting('f32', [values.length]);
      addon.upload(t.id, values);
      return t.id;
    };
    const layers = plain.map(({ shape, ffnSize, ...w }): LayerWeights => {
      const woven = ffnSize % 32 === 0;
      const attends = shape.mixer === 'softmax';
      return {
        attentionNorm: vector(w.gain),
        qkv: attends ? pack(hidden, [w.qkv]) : 0,
        qkvBias: 0,
        qNorm: 0,
        kNorm: 0,
        output: attends ? pack(shape.numQueryHeads * shape.headDim, [w.output]) : 0,
        postAttentionNorm: vector(w.post),
        ffnNorm: vector(w.gain),
        gateUp: pack(hidden, [w.gate, w.up], woven ? 32 : 0),
        gateUpWoven: woven,
        down: pack(ffnSize, [w.down]),
        postFfnNorm: vector(w.post),
      };
    });
    const arch: Architecture = {
      layers: plain.map(({ shape }) => shape),
      blocks: plain.map(({ ffnSize, shape }) => ({ ffnSize, rotary: shape.headDim === 24 ? 1 : 0 })),
      rotary: [16, 24].map((dims) => ({
        setOf: () => 'all',
        table: (_, positions) =>
          Float32Array.from({ length: positions * dims }, (_, i) => {
            const half = dims / 2;
            const turn = Math.floor(i / dims) * 100 ** (-(i % half) / half);
            return i % dims < half ? Math.cos(turn) : Math.sin(turn);
          }),
      })),
      hiddenSize: hidden,
      vocabSize: vocab,
      normEps: 1e-6,
      embeddingScale: 3,
      activation: 'silu',
      finalSoftCap: 5,
    };
    const table = pack(hidden, [embedding]);
    const transformer = createTransformer(device, arch, {
      embedding: table,
      layers,
      finalNorm: vector(new Float32Array(hidden).fill(1)),
      head: table,
    });
    const ids = [3, 1, 4, 1, 5, 9, 2, 6];
    const expected = naive(plain, embedding, ids);
    for (const chunk of [ids.length, 3, 1]) {
      const cache = transformer.newCache();
      for (let start = 0; start < ids.length; start += chunk) {
        const part = Int32Array.from(ids.slice(start, start + chunk));
        const attend: Pass['attend'] = (layer, q, out) => {
          assert.notEqual(layer, 1, 'a layer without attention is not asked to attend');
          addon.attendPrefill(q.id, cache, layer, plain[layer]!.shape.softmaxScale, 0, 0, 0, out.id, 0);
        };
        const logits = transformer.run({
          ids: part,
          positions: part.map((_, i) => start + i),
          caches: Int32Array.of(cache),
          queryLen: part.length,
          isStep: false,
          logits: 'all',
          attend,
        });
        const values = addon.download(logits!.id) as Float32Array;
        values.forEach((value, i) => {
          const wanted = expected[start + Math.floor(i / vocab)]![i % vocab]!;
          assert.ok(Math.abs(value - wanted) < 1e-4, `chunk ${chunk}, logit ${i}: ${value} for ${wanted}`);
        });
      }
      assert.deepEqual([...addon.cacheLens(cache)], [8, 8, 8]);
      addon.cacheFree(cache);
    }
    transformer.dispose();
  });
});
