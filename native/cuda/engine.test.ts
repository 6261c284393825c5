import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { OpenOptions } from '../../engine/contract.js';
import { openLocal, type ServedEngine } from '../../engine/local.js';
import { type TinyModelOptions, writeTinyModel } from '../../engine/tiny-model.js';
import { resolveMethod } from '../../methods/load.js';
import { hostBinary, hostSkip } from './test/host-backend.js';

/** Relative RMS that bf16 activations and weights may cost the logits of two random layers. */
const LOGIT_BOUND = 2e-2;

const folder = mkdtempSync(join(tmpdir(), 'winnow-cuda-'));
after(() => rmSync(folder, { recursive: true }));

const openWith = (path: string, backend: OpenOptions['backend'], numerics: OpenOptions['numerics']): ServedEngine =>
  openLocal(path, { backend, numerics, isa: 'auto', threads: 1, prefillChunk: 48, resolveMethod, cancelled: () => {} });

const relativeRms = (got: Float32Array, want: Float32Array): number => {
  const sum = (of: (i: number) => number): number => want.reduce((total, _, i) => total + of(i) ** 2, 0);
  return Math.sqrt(sum((i) => got[i]! - want[i]!) / sum((i) => want[i]!));
};

const models: Record<string, Partial<TinyModelOptions>> = {
  'llama, heads of 16': { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 16 },
  'llama, heads of 64 in Q8_0': { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 64, type: 'Q8_0' },
  'qwen3 with normed heads': { family: 'qwen3', layers: 2, queryHeads: 4, kvHeads: 1, headDim: 32 },
  'gemma2 with caps and sliding layers': {
    family: 'gemma2',
    layers: 2,
    queryHeads: 4,
    kvHeads: 2,
    headDim: 32,
    slidingWindow: 40,
    attentionSoftCap: 50,
    finalSoftCap: 30,
  },
};

describe('an engine on the CUDA backend', { skip: hostSkip }, () => {
  const text =
    'the red box is in the north room, the blue box lies behind the mill and the key is under a stone by the river';
  before(() => {
    process.env.WINNOW_CUDA_BINARY = hostBinary;
  });

  for (const [name, options] of Object.entries(models)) {
    test(`${name}: logits are those of the CPU within what bf16 costs`, (context) => {
      const path = writeTinyModel(join(folder, name.replace(/\W/g, '-')), options);
      const ids = Int32Array.from({ length: 150 }, (_, i) => (i * 37 + (i % 7) * 11) % 250);
      const [exact, cuda] = (['cpu', 'cuda'] as const).map((backend) => {
        const engine = openWith(path, backend, backend === 'cpu' ? 'reference' : 'native');
        try {
          return engine.logits(ids) as Float32Array;
        } finally {
          engine.close();
        }
      });
      const error = relativeRms(cuda!, exact!);
      context.diagnostic(`relative RMS ${error.toExponential(1)}`);
      assert.ok(error <= LOGIT_BOUND, `${error}`);
    });
  }

  test('writes what the CPU writes over pages packed by KIVI, attended to as codes', async () => {
    // Codes of 4 and 2 bits magnify what bf16 rounds: of other seeds the CPU's own two numerics write different texts.
    const path = writeTinyModel(join(folder, 'packed'), { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 64, seed: 1 });
    const outcomes = [];
    for (const backend of ['cpu', 'cuda'] as const) {
      const engine = openWith(path, backend, 'native');
      try {
        const texts = [];
        for (const bits of [4, 2]) {
          const setting = {
            key: `${bits}`,
            method: { id: 'kivi', params: { bits, residualTokens: 40 } },
            keptFraction: 0.9,
          };
          texts.push((await engine.generate({ text: text.repeat(4), raw: true, maxNewTokens: 6, setting })).tokenIds);
        }
        outcomes.push(texts);
      } finally {
        engine.close();
      }
    }
    assert.deepEqual(outcomes[1], outcomes[0]);
  });

  test('writes the text that the CPU writes, with every cache in use', async () => {
    const path = writeTinyModel(join(folder, 'methods'), {
      layers: 2,
      queryHeads: 4,
      kvHeads: 2,
      headDim: 16,
      seed: 5,
    });
    const params: Record<string, Record<string, unknown>> = {
      quest: { denseLayers: 0 },
      kivi: { groupSize: 16, residualTokens: 32 },
    };
    const outcomes = [];
    for (const backend of ['cpu', 'cuda'] as const) {
      const engine = openWith(path, backend, 'native');
      try {
        const texts: Record<string, readonly number[]> = {};
        for (const id of [
          'dense',
          'streaming-llm',
          'random',
          'knorm',
          'snapkv',
          'tova',
          'quest',
          'kivi',
          'sink-window-prefill',
        ]) {
          const prompt = text.repeat(4);
          const setting = {
            key: id,
            method: { id, params: params[id] ?? {} },
            ...(id === 'dense' ? {} : { keptFraction: 0.5 }),
          };
          texts[id] = (await engine.generate({ text: prompt, raw: true, maxNewTokens: 5, setting })).tokenIds;
        }
        outcomes.push(texts);
      } finally {
        engine.close();
      }
    }
    assert.deepEqual(outcomes[1], outcomes[0]);
  });
});
