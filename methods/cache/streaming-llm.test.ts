import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBench } from '../../engine/bench.js';
import { writeTinyModel } from '../../engine/tiny-model.js';
import { loadAddon } from '../../native/index.js';
import { conforms } from '../conformance.js';
import { openNaiveModel } from '../fixtures/naive-model.js';
import { budgetOf, keptByMethod, layerShape, modelFacts, plantSample, rowsOf, settingOf } from '../naive-views.js';
import { indicesFrom } from '../oracle-attention.js';
import { parseParams } from '../params.js';
import { streamingLlm } from './streaming-llm.js';

conforms(streamingLlm);
conforms(streamingLlm, { params: { positions: 'cache' } });

test('keeps the first tokens and the last ones of the context, and the question', async () => {
  const shape = layerShape();
  for (const [tokens, sinkTokens, question] of [
    [10, 4, 0],
    [10, 4, 6],
    [5, 4, 2],
    [9, 0, 3],
  ] as const) {
    const sample = plantSample(1, [shape], 30 + question, 30);
    const [row] = await keptByMethod(streamingLlm, { sinkTokens, positions: 'original' }, sample, [
      budgetOf(tokens, 30),
    ]);
    const expected = [...indicesFrom(0, sinkTokens), ...indicesFrom(30 - (tokens - sinkTokens), 30 + question)];
    for (const slots of row![0]!) assert.deepEqual(slots, expected);
  }
});

test('a budget of the whole context keeps everything', async () => {
  const [row] = await keptByMethod(
    streamingLlm,
    { sinkTokens: 4, positions: 'original' },
    plantSample(1, [layerShape()], 33, 30),
    [budgetOf(30, 30)],
  );
  assert.deepEqual(row![0]![0], indicesFrom(0, 33));
});

test('a budget without room for a recent token is refused', () => {
  const model = modelFacts([layerShape()]);
  const budget = budgetOf(4, 30);
  const [sequence] = rowsOf(plantSample(1, model.layers, 30), [budget]).sequences;
  assert.throws(
    () =>
      streamingLlm.hooks(settingOf({ sinkTokens: 4, positions: 'original' } as const, budget), model).admit!(sequence!),
    {
      code: 'ERR_UNSUPPORTED',
    },
  );
});

for (const positions of ['original', 'cache'] as const) {
  test(`${positions} positions: the question is answered over the kept tokens where the rule puts them`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'winnow-streaming-'));
    const path = writeTinyModel(folder, { layers: 2, queryHeads: 4, kvHeads: 2, seed: 5 });
    const naive = openNaiveModel(path, loadAddon());
    const bench = await openBench(path, { numerics: 'reference', threads: 1 });
    const [context, tokens, sinks] = [60, 20, 4];
    const contextIds = Int32Array.from({ length: context }, (_, i) => 3 + ((i * 37) % 200));
    const questionIds = Int32Array.of(9, 20, 31, 42);
    const forcedTokens = Int32Array.of(50, 61, 72);
    try {
      const [row] = await bench.run({
        contextIds,
        questionIds,
        forcedTokens,
        settings: [
          { key: 'row', method: streamingLlm, params: parseParams(streamingLlm, { positions }), tokenBudget: tokens },
        ],
        protocol: 'query-agnostic',
        maxNewTokens: forcedTokens.length,
        sampleSeed: 1,
      });
      assert.ok(row?.status === 'ok', JSON.stringify(row));
      const kept = [...indicesFrom(0, sinks), ...indicesFrom(context - (tokens - sinks), context)];
      const place = (token: number): number => {
        if (positions === 'original') return token;
        return token < context ? kept.indexOf(token) : kept.length + token - context;
      };
      const fed = [...contextIds, ...questionIds, ...forcedTokens.subarray(0, -1)];
      const expected = naive
        .logits(
          fed.map((id, position) => ({ id, position })),
          {
            sees: (_layer, query, key) => query < context || key >= context || kept.includes(key),
            positions: (query, key) => (query < context ? [query, key] : [place(query), place(key)]),
          },
        )
        .slice(context + questionIds.length - 1);
      assert.equal(expected.length, row.logits.length);
      expected.forEach((line, step) => {
        line.forEach((value, i) => {
          const own = row.logits[step]![i]!;
          assert.ok(Math.abs(value - own) < 2e-4, `step ${step}, logit ${i}: ${own} is not ${value}`);
        });
      });
    } finally {
      await bench.close();
      rmSync(folder, { recursive: true });
    }
  });
}
