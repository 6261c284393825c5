import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dense } from '../../methods/control/dense.js';
import { openLocal } from '../local.js';
import { writeTinyModel } from '../tiny-model.js';
import { openSample } from './sample.js';
import { resolveSetting } from './settings.js';
import { runStep } from './step.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-tree-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('a token of a drafted tree gets the logits it has at the end of its own branch', async () => {
  const engine = openLocal(writeTinyModel(folder, { layers: 3, queryHeads: 8, kvHeads: 2, seed: 4 }), {
    backend: 'cpu',
    numerics: 'reference',
    isa: 'auto',
    threads: 1,
    prefillChunk: 64,
    resolveMethod: async () => dense,
    cancelled: () => {},
  });
  const { context } = engine;
  const contextIds = Int32Array.from({ length: 40 }, (_, i) => 3 + ((i * 7) % 200));
  const bound = { method: dense, params: {}, identity: 'dense' };
  const step = async (ids: number[], parents?: number[]): Promise<Float32Array> => {
    const setting = resolveSetting(
      { key: 'dense', method: { id: 'dense', params: {} } },
      bound,
      context.facts,
      'query-agnostic',
      40,
    );
    const prompt = { contextIds, questionIds: new Int32Array(0), evidence: [] };
    const spec = { prompt, protocol: 'query-agnostic', sampleSeed: 0, maxNewTokens: 9, standAlone: true } as const;
    const sample = await openSample(context, spec, [setting]);
    try {
      const { logits } = runStep(context, context.transformer, {
        groups: sample.groups,
        ids: Int32Array.from(ids),
        queryLen: ids.length,
        phase: 'answer',
        step: 1,
        logits: 'all',
        recall: false,
        ...(parents === undefined ? {} : { parents: Int32Array.from(parents) }),
      });
      return (context.device.addon.download(logits.id) as Float32Array).slice();
    } finally {
      sample.close();
    }
  };
  const vocab = context.facts.vocabSize;
  // Root 11 with branches 21 -> 22 and 31 -> 32.
  const tree = await step([11, 21, 31, 22, 32], [-1, 0, 0, 1, 2]);
  for (const [branch, places] of [
    [
      [11, 21, 22],
      [0, 1, 3],
    ],
    [
      [11, 31, 32],
      [0, 2, 4],
    ],
  ] as const) {
    const line = await step([...branch]);
    places.forEach((place, i) => {
      for (let v = 0; v < vocab; v++) {
        const error = Math.abs(tree[place * vocab + v]! - line[i * vocab + v]!);
        assert.ok(error < 2e-5, `token ${place}, logit ${v}: off by ${error}`);
      }
    });
  }
  engine.close();
});
