/** How often a decode step makes the host wait for the device, by method, on the host build of the CUDA backend. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openLocal } from '../../engine/local.js';
import { writeTinyModel } from '../../engine/tiny-model.js';
import { resolveMethod } from '../../methods/load.js';
import { hostBinary, hostSkip } from './test/host-backend.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-host-reads-'));
after(() => rmSync(folder, { recursive: true }));

const settings: Record<string, Record<string, unknown>> = {
  dense: {},
  'streaming-llm': { tokenBudget: 40 },
  knorm: { tokenBudget: 40 },
  snapkv: { tokenBudget: 40 },
  tova: { tokenBudget: 40 },
  quest: { keptFraction: 0.5 },
};

/** Those whose steps send nothing but what the model is fed. */
const plain = new Set(['dense', 'knorm', 'snapkv']);

describe('a decode step on the CUDA backend', { skip: hostSkip }, () => {
  before(() => {
    process.env.WINNOW_CUDA_BINARY = hostBinary;
  });

  for (const [id, budget] of Object.entries(settings)) {
    test(`${id} waits once, for the token`, async () => {
      // Values that each upload sent, by the download that they were made before.
      const sent: number[][] = [[]];
      const path = writeTinyModel(join(folder, id), { layers: 3, queryHeads: 4, kvHeads: 2, headDim: 64, seed: 3 });
      const engine = openLocal(path, {
        backend: 'cuda',
        numerics: 'native',
        isa: 'auto',
        threads: 1,
        prefillChunk: 64,
        resolveMethod,
        cancelled: () => {},
        wrapAddon: (addon) => ({
          ...addon,
          upload(t, values) {
            sent.at(-1)!.push(values.length);
            addon.upload(t, values);
          },
          download(t) {
            sent.push([]);
            return addon.download(t);
          },
        }),
      });
      try {
        const text =
          'the red box is in the north room, the blue box lies behind the mill and the key is under a stone. ';
        const outcome = await engine.time({
          sampleId: id,
          seed: 1,
          prompt: {
            context: text.repeat(3),
            question: 'where is the key?',
            answerPrefix: '',
            documents: [],
            evidence: [],
            chatTemplate: false,
          },
          stop: [],
          protocol: 'query-aware',
          maxNewTokens: 6,
          setting: { key: id, method: { id, params: id === 'quest' ? { denseLayers: 0 } : {} }, ...budget },
        });
        assert.equal(outcome.hostReadsPerStep, 1);
        // Id and position of a step together.
        if (plain.has(id)) assert.deepEqual(sent.slice(-4), [[2], [2], [2], []]);
      } finally {
        engine.close();
      }
    });
  }
});
