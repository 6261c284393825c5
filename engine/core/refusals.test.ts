/** What the contract can say and the engine does not do: each is refused by name, with its reason. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ConformanceBench } from '../../methods/conformance-bench.js';
import type { Method, Reduce } from '../../methods/contract.js';
import { dense } from '../../methods/control/dense.js';
import { declaration } from '../../methods/declaration.js';
import { lookupDraft } from '../../methods/fixtures/lookup-draft.js';
import { openBench } from '../bench.js';
import type { SampleRequest } from '../contract.js';
import { openLocal } from '../local.js';
import { writeTinyModel } from '../tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-refusals-'));
const model = writeTinyModel(folder, { layers: 2 });
let bench: ConformanceBench | undefined;
after(async () => {
  await bench?.close();
  rmSync(folder, { recursive: true, force: true });
});

const refusalOf = async (method: Method): Promise<{ code: string; message: string }> => {
  bench ??= await openBench(model, { numerics: 'reference', threads: 1 });
  const [row] = await bench.run({
    contextIds: Int32Array.from({ length: 30 }, (_, i) => 3 + i),
    questionIds: Int32Array.of(7, 8, 9),
    settings: [{ key: 'row', method, params: {} }],
    protocol: 'query-agnostic',
    maxNewTokens: 3,
    sampleSeed: 1,
  });
  assert.ok(row !== undefined && row.status !== 'ok', 'it was served');
  return row.error;
};

const needing = (reduce: Reduce): Method => ({
  ...dense,
  id: `columns-${reduce}`,
  declare: () => declaration({ needs: [{ view: 'columnStats', reduce, rows: 'all', scope: 'kvHead' }] }),
});

for (const [reduce, reason] of [
  ['argmax', /ops\.argmax of window scores/],
  ['distance', /a number of each query/],
  ['diagonal', /along distances, not along columns/],
  ['raw', /before the softmax are those of ops\.channelScores/],
] as const) {
  test(`column statistics by ${reduce} are refused with what gives it`, async () => {
    const { code, message } = await refusalOf(needing(reduce));
    assert.equal(code, 'ERR_UNSUPPORTED');
    assert.match(message, reason);
  });
}

test('compact positions of sets that differ by query are refused: a key would stand at two places', async () => {
  const { code, message } = await refusalOf({
    ...dense,
    id: 'compact-window',
    declare: () => declaration({ layout: { keyRope: 'post', positions: 'compact', tier: false } }),
    hooks: () => ({
      decode: {
        select: () => ({
          parts: [{ keys: { kind: 'window', sinkTokens: 2, recentTokens: 5 } }],
          mix: 'one-softmax',
        }),
      },
    }),
  });
  assert.equal(code, 'ERR_UNSUPPORTED');
  assert.match(message, /one set for all queries of a step with compact positions/);
});

test('a draft whose every leaf should live on is refused', async () => {
  const leaves: Method = {
    ...lookupDraft,
    id: 'leaves',
    hooks: () => ({
      output: {
        draft: ({ ops }) => ({
          ids: ops.lists([[[5, 6]]], 'layer').values,
          parents: ops.lists([[[-1, -1]]], 'layer').values,
          keep: 'every-leaf',
        }),
      },
    }),
  };
  const engine = openLocal(model, {
    backend: 'cpu',
    numerics: 'reference',
    isa: 'auto',
    threads: 1,
    prefillChunk: 64,
    resolveMethod: async () => leaves,
    cancelled: () => {},
  });
  const request: SampleRequest = {
    sampleId: 'one',
    seed: 1,
    prompt: {
      context: 'sun river',
      question: ' Which?',
      answerPrefix: '',
      documents: [],
      evidence: [],
      chatTemplate: false,
    },
    protocol: 'query-agnostic',
    settings: [{ key: 'row', method: { id: 'leaves', params: {} } }],
    maxNewTokens: 4,
    stop: [],
    traceKept: false,
  };
  try {
    const [outcome] = (await engine.evaluate(request)).outcomes;
    assert.ok(outcome?.status !== 'ok' && outcome !== undefined);
    assert.match(outcome.error.message, /leaves\.draft\.keep: expected .*verified-path.*an answer has one row/);
  } finally {
    engine.close();
  }
});
