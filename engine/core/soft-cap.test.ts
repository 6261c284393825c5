/** Attention scores that methods see of a layer with a soft cap. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { BenchRow } from '../../methods/conformance-bench.js';
import type { CacheView, Method } from '../../methods/contract.js';
import { dense } from '../../methods/control/dense.js';
import { declaration } from '../../methods/declaration.js';
import { openBench } from '../bench.js';
import { writeTinyModel } from '../tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-soft-cap-'));
after(() => rmSync(root, { recursive: true, force: true }));

const cap = 0.5;
const window = 3;
const headDim = 16;
const heads = { query: 4, kv: 2 };
const tokens = 40;

/** Weights of the last `window` queries from their definition, summed: [query head][slot]. */
const naiveSums = (keys: Float32Array, queries: Float32Array): number[][] =>
  Array.from({ length: heads.query }, (_, head) => {
    const sums = new Array<number>(tokens).fill(0);
    for (let j = 0; j < window; j++) {
      const own = tokens - window + j;
      const weights = Array.from({ length: own + 1 }, (_, slot) => {
        let dot = 0;
        for (let c = 0; c < headDim; c++)
          dot +=
            queries[(j * heads.query + head) * headDim + c]! *
            keys[(Math.floor((head * heads.kv) / heads.query) * tokens + slot) * headDim + c]!;
        return Math.exp(cap * Math.tanh(dot / Math.sqrt(headDim) / cap));
      });
      const total = weights.reduce((a, b) => a + b, 0);
      weights.forEach((weight, slot) => {
        sums[slot]! += weight / total;
      });
    }
    return sums;
  });

test('window scores and column statistics of a soft-capped layer are those of its attention', async () => {
  const model = writeTinyModel(root, {
    family: 'gemma2',
    layers: 2,
    queryHeads: heads.query,
    kvHeads: heads.kv,
    headDim,
    slidingWindow: 16,
    attentionSoftCap: cap,
  });
  const bench = await openBench(model, { numerics: 'reference', threads: 1 });
  const seen = new Map<string, number[]>();
  const looker: Method = {
    ...dense,
    id: 'looker',
    declare: () =>
      declaration({
        needs: [
          { view: 'windowQueries', last: window },
          { view: 'columnStats', reduce: 'sum', rows: window, scope: 'queryHead' },
        ],
      }),
    hooks: () => ({
      cache: {
        finishPrefill: (views: readonly CacheView[]) => {
          for (const view of views.filter(({ shape }) => shape.evictable)) {
            const scores = view.ops.windowScores(view.windowQueries(), view.slots, { reduce: 'sum', gqa: 'none' });
            seen.set(`window ${view.layer}`, Array.from(bench.peek(scores)));
            seen.set(`column ${view.layer}`, Array.from(bench.peek(view.columnStats(1))));
          }
          return [];
        },
      },
    }),
  };
  try {
    const [row] = (await bench.run({
      contextIds: Int32Array.from({ length: tokens }, (_, i) => 3 + ((i * 37) % 250)),
      questionIds: Int32Array.of(7),
      settings: [{ key: 'looker', method: looker, params: {} }],
      protocol: 'query-agnostic',
      maxNewTokens: 1,
      sampleSeed: 1,
      capture: true,
    })) as readonly BenchRow[];
    assert.ok(row?.status === 'ok', JSON.stringify(row));
    const layer = 1;
    const { keys, windowQueries } = row.captured![layer]!;
    const expected = naiveSums(keys, windowQueries!).flat();
    for (const kind of ['window', 'column']) {
      const own = seen.get(`${kind} ${layer}`)!;
      assert.equal(own.length, expected.length);
      own.forEach((value, i) => {
        assert.ok(Math.abs(value - expected[i]!) < 2e-6, `${kind} score ${i}: ${value} is not ${expected[i]}`);
      });
    }
  } finally {
    await bench.close();
  }
});
