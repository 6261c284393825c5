import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createDevice } from '../../engine/core/device.js';
import { type Architecture, createTransformer, type LayerWeights, type Pass } from '../../engine/core/transformer.js';
import type { CacheId } from '../addon-types.js';
import { hostSkip, openHostBackend } from './test/host-backend.js';

const [LAYERS, HIDDEN, FFN, VOCAB, HEADS, KV_HEADS, HEAD_DIM] = [3, 32, 64, 50, 4, 2, 64];
/** Pages hold 64 slots, so that steps before and after a new page are among these. */
const PROMPT = 58;
const STEPS = 14;
/** Graphs by step: the first makes workspaces, lens take turns in two places, so two lists follow that are issued once before they are graphs. */
const GRAPHS = [0, 0, 0, ...new Array(STEPS - 3).fill(1)];

const softmaxLayer = {
  mixer: 'softmax' as const,
  numQueryHeads: HEADS,
  numKvHeads: KV_HEADS,
  headDim: HEAD_DIM,
  headDimV: HEAD_DIM,
  rotary: true,
  softmaxScale: 0.125,
  slidingWindow: 0,
  logitSoftCap: 0,
  evictable: true,
} as unknown as Architecture['layers'][number];

interface Trace {
  readonly logits: number[][];
  readonly graphs: number[];
  readonly hostReads: number[];
}

/**
 * Greedy steps of `rows` texts, each a token shorter than the one before, with the head start of `Addon.stepGraphs`. `copies` of the first
 * one's cache hold pages beside them. Of `samples` one behind the other the last is told.
 */
const trace = (headStart: number, rows: number, { copies = 0, samples = 1 } = {}): Trace => {
  const addon = openHostBackend();
  addon.stepGraphs!(headStart);
  const device = createDevice(addon, 'bf16');
  const ones = (width: number): number => {
    const t = device.lasting('f32', [width]);
    addon.upload(t.id, new Float32Array(width).fill(1));
    return t.id;
  };
  const weight = (outputs: number, inputs: number, seed: number): number =>
    addon.randomWeight!(outputs, inputs, seed, 1 / Math.sqrt(inputs));
  const layer = (_: unknown, i: number): LayerWeights => ({
    attentionNorm: ones(HIDDEN),
    qkv: weight((HEADS + 2 * KV_HEADS) * HEAD_DIM, HIDDEN, 10 * i + 1),
    qkvBias: 0,
    qNorm: 0,
    kNorm: 0,
    output: weight(HIDDEN, HEADS * HEAD_DIM, 10 * i + 2),
    postAttentionNorm: 0,
    ffnNorm: ones(HIDDEN),
    gateUp: weight(2 * FFN, HIDDEN, 10 * i + 3),
    gateUpWoven: true,
    down: weight(HIDDEN, FFN, 10 * i + 4),
    postFfnNorm: 0,
  });
  const arch: Architecture = {
    layers: Array.from({ length: LAYERS }, () => softmaxLayer),
    blocks: Array.from({ length: LAYERS }, () => ({ ffnSize: FFN, rotary: 0 })),
    rotary: [
      {
        setOf: () => 'all',
        table: (_, positions) =>
          Float32Array.from({ length: positions * HEAD_DIM }, (_, i) => {
            const turn = Math.floor(i / HEAD_DIM) * 100 ** (-(i % (HEAD_DIM / 2)) / (HEAD_DIM / 2));
            return i % HEAD_DIM < HEAD_DIM / 2 ? Math.cos(turn) : Math.sin(turn);
          }),
      },
    ],
    hiddenSize: HIDDEN,
    vocabSize: VOCAB,
    normEps: 1e-6,
    embeddingScale: 1,
    activation: 'silu',
    finalSoftCap: 0,
  };
  const table = weight(VOCAB, HIDDEN, 99);
  const transformer = createTransformer(device, arch, {
    embedding: table,
    layers: Array.from({ length: LAYERS }, layer),
    finalNorm: ones(HIDDEN),
    head: table,
  });
  const caches: CacheId[] = [];
  const held: CacheId[] = [];
  const pass = (ids: number[], queryLen: number, first: (row: number) => number, own: Int32Array): Float32Array => {
    const isStep = queryLen === 1;
    const attend: Pass['attend'] = (index, q, out, { ops }) => {
      if (isStep) ops.attendDecode(q.id, own, index, 1, 0.125, 0, 0, 0, 0, 0, 0, out.id, 0, 0);
      else addon.attendPrefill(q.id, own[0]!, index, 0.125, 0, 0, 0, out.id, 0);
    };
    const logits = transformer.run({
      ids: Int32Array.from(ids),
      positions: Int32Array.from(ids, (_, i) => first(Math.floor(i / queryLen)) + (i % queryLen)),
      caches: own,
      queryLen,
      isStep,
      logits: 'last',
      defersAttention: true,
      attend,
    });
    return addon.download(logits!.id) as Float32Array;
  };
  const argmaxOf = (logits: Float32Array, row: number): number => {
    const own = logits.subarray(row * VOCAB, (row + 1) * VOCAB);
    return own.indexOf(Math.max(...own));
  };
  let result: Trace = { logits: [], graphs: [], hostReads: [] };
  for (let sample = 0; sample < samples; sample++) {
    for (const cache of caches.splice(0)) addon.cacheFree(cache);
    result = { logits: [], graphs: [], hostReads: [] };
    let ids = Array.from({ length: rows }, (_, row) => {
      const cache = transformer.newCache();
      caches.push(cache);
      const prompt = Array.from({ length: PROMPT - row }, (_, i) => (i * 7 + row * 3) % VOCAB);
      const logits = pass(prompt, prompt.length, () => 0, Int32Array.of(cache));
      return argmaxOf(logits, 0);
    });
    while (held.length < copies) held.push(addon.cacheCopy(caches[0]!));
    const all = Int32Array.from(caches);
    for (let step = 0; step < STEPS; step++) {
      addon.resetDeviceMeters!();
      const logits = pass(ids, 1, (row) => PROMPT - row + step, all);
      result.logits.push([...logits]);
      const meters = addon.deviceMeters!();
      result.graphs.push(meters.graphLaunches);
      result.hostReads.push(meters.hostReads);
      ids = ids.map((_, row) => argmaxOf(logits, row));
    }
  }
  for (const cache of [...caches, ...held]) addon.cacheFree(cache);
  addon.cacheTrim?.();
  transformer.dispose();
  return result;
};

describe('decode steps as graphs', { skip: hostSkip }, () => {
  after(() => openHostBackend().stepGraphs!(-1));

  for (const rows of [1, 3])
    test(`${rows} rows: the same bits as op by op, one host read a step, and graphs once lists have come twice`, () => {
      const plain = trace(-1, rows);
      const graphs = trace(0, rows);
      assert.deepEqual(graphs.logits, plain.logits);
      assert.ok(plain.graphs.every((count) => count === 0));
      for (const reads of [plain.hostReads, graphs.hostReads]) assert.deepEqual(reads, new Array(STEPS).fill(1));
      // New pages, which rows of several lengths take in several steps, change nothing.
      assert.deepEqual(graphs.graphs, GRAPHS);
    });

  test('the next texts of as many rows go by the graphs of those before', () => {
    const graphs = trace(0, 3, { samples: 2 });
    assert.deepEqual(graphs.logits, trace(-1, 3).logits);
    assert.deepEqual(graphs.graphs, new Array(STEPS).fill(1));
  });

  test('a pool that grows changes no graph', () => {
    // Memory comes for 256 pages at a time: copies that hold so many but for a few make the first new pages of the steps ask for more.
    const copies = Math.floor(256 / (LAYERS * KV_HEADS)) - 1;
    const graphs = trace(0, 1, { copies });
    assert.deepEqual(graphs.logits, trace(-1, 1).logits);
    assert.deepEqual(graphs.graphs, GRAPHS);
  });

  test('the device gets a head start before ops are noted', () => {
    const plain = trace(-1, 1);
    const late = trace(1000, 1);
    assert.deepEqual(late.logits, plain.logits);
    assert.ok(late.graphs.every((count) => count === 0));
  });
});
