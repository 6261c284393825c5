/** What the ops mean, in closed form; and that the engine's ops mean the same. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ConformanceBench } from './conformance-bench.js';
import { openBenches } from './conformance-models.js';
import { fingerprint, requestFor, runAll, subjectOf } from './conformance-subject.js';
import type { Method, Ops, Tensor } from './contract.js';
import { dense } from './control/dense.js';
import { dataOf, listsOf, naiveTensor } from './naive-lists.js';
import { naiveOps, naiveSlots } from './naive-ops.js';
import { layerShape } from './naive-views.js';
import { linesOf, listed, lookInside, naiveCopy } from './ops-probe.js';
import { readAll } from './selector.js';

const top = (line: number[], counts: number[], how: { sinks?: number; recents?: number } = {}): number[][] =>
  listsOf(
    naiveOps.topK(naiveTensor([1, 1, line.length], line), counts, {
      scope: 'layer',
      sinks: how.sinks ?? 0,
      recents: how.recents ?? 0,
    }),
    line.length,
  ).map((row) => row[0]!);

test('topK: ascending, ties to the lower index, one row of scores for many counts', () => {
  assert.deepEqual(top([1, 3, 3, 2, 3], [2, 4]), [
    [1, 2],
    [1, 2, 3, 4],
  ]);
  assert.deepEqual(top([1, 2], [5]), [[0, 1]]);
});

test('topK: sinks and recents come first and count; what is -inf is no entry', () => {
  assert.deepEqual(top([0, 9, 8, 7, 0], [3], { sinks: 1, recents: 1 }), [[0, 1, 4]]);
  assert.deepEqual(top([0, 9, 8, -Infinity, -Infinity], [2], { recents: 1 }), [[1, 2]]);
  assert.deepEqual(
    top([5, 4, 3, 2, 1], [2], { sinks: 3, recents: 2 }),
    [[0, 1]],
    'sinks before recents where both do not fit',
  );
});

test('topK over all heads of a row spends one count, protected entries first', () => {
  const scores = naiveTensor([1, 2, 3], [9, 1, 2, 8, 7, 3]);
  const lists = naiveOps.topK(scores, [4], { scope: 'kvHead', sinks: 0, recents: 1, across: 'heads' });
  assert.deepEqual(listsOf(lists, 3), [
    [
      [0, 2],
      [0, 2],
    ],
  ]);
});

test('a mask of -inf survives scale and add', () => {
  const masked = naiveTensor([1, 1, 2], [1, -Infinity]);
  assert.deepEqual([...dataOf(naiveOps.scale(masked, -2))], [-2, -Infinity]);
  assert.deepEqual([...dataOf(naiveOps.add(masked, naiveTensor([1, 1, 2], [1, 1])))], [2, -Infinity]);
});

const near = (actual: Float64Array, expected: readonly number[]): void => {
  for (const [i, wanted] of expected.entries())
    assert.ok(Math.abs(actual[i]! - wanted) < 1e-12, `${actual[i]} is not ${wanted}`);
};

test('windowScores: causal inside the window, pooled with zeros outside, reduced over the group', () => {
  const shape = layerShape({ numQueryHeads: 2, numKvHeads: 1, headDim: 1 });
  const slots = naiveSlots(0, shape, [[[[0], [0], [0]]]]);
  const queries = naiveTensor([1, 2, 2], [1, 1, 1, 1]);
  // Equal keys: the first query (slot 1) gives 1/2 each to two slots, the second 1/3 to all three.
  const scores = dataOf(naiveOps.windowScores(queries, slots, { reduce: 'sum', gqa: 'sum' }));
  near(scores, [5 / 3, 5 / 3, 2 / 3]);
  const pooled = dataOf(
    naiveOps.windowScores(queries, slots, { reduce: 'max', pool: { kind: 'avg', size: 3 }, gqa: 'mean' }),
  );
  near(pooled, [1 / 3, 4 / 9, 5 / 18]);
});

test('block bounds: no key of a page exceeds the bound, a missing page has none', () => {
  const shape = layerShape({ numQueryHeads: 1, numKvHeads: 1, headDim: 2 });
  const slots = naiveSlots(0, shape, [
    [
      [
        [1, -2],
        [3, 4],
        [0, 5],
      ],
    ],
    [[[1, 1]]],
  ]);
  const summary = naiveOps.blockSummary(slots, 2);
  assert.deepEqual(summary.shape, [2, 1, 2, 2, 2]);
  const bounds = dataOf(naiveOps.blockScores(naiveTensor([2, 1, 2], [1, -1, 2, 2]), summary, shape, 'none'));
  assert.deepEqual([...bounds], [3 + 2, -5, 4, -Infinity]);
});

// ---------------------------------------------------------------- the engine's ops

const benches = await openBenches();
after(async () => {
  if ('close' in benches) await benches.close();
});

/** topK, scale, add and reduceHeads of the engine against the naive ones, on these scores. */
const compareListOps = (bench: ConformanceBench, ops: Ops, scores: Tensor, rows: number): void => {
  const copy = naiveCopy(bench, scores);
  const counts = Array.from({ length: rows }, (_, row) => 5 + 3 * row);
  for (const how of [
    { sinks: 0, recents: 0 },
    { sinks: 2, recents: 3 },
    { sinks: 4, recents: 4 },
    { sinks: 0, recents: 1, across: 'heads' as const },
  ]) {
    const budget = how.across === undefined ? counts : counts.map((count) => count * 2);
    const own = listed(bench, ops.topK(scores, budget, { scope: 'kvHead', ...how }));
    assert.deepEqual(own, listsOf(naiveOps.topK(copy, budget, { scope: 'kvHead', ...how }), 1_000).flat());
  }
  const agree = (own: Tensor, expected: Tensor): void => {
    Array.from(bench.peek(own)).forEach((value, i) => {
      const wanted = dataOf(expected)[i]!;
      assert.ok(
        Object.is(value, wanted) || Math.abs(value - wanted) < 1e-5 * (1 + Math.abs(wanted)),
        `${value} is not ${wanted}`,
      );
    });
  };
  agree(ops.scale(scores, -2), naiveOps.scale(copy, -2));
  agree(ops.add(scores, scores), naiveOps.add(copy, copy));
  agree(ops.maximum(scores, ops.scale(scores, -2)), naiveOps.maximum(copy, naiveOps.scale(copy, -2)));
  const width = copy.shape[2]!;
  agree(ops.sliceSlots(scores, 1, width - 2), naiveOps.sliceSlots(copy, 1, width - 2));
  for (const how of ['mean', 'sum', 'max'] as const)
    agree(ops.reduceHeads(scores, how), naiveOps.reduceHeads(copy, how));
};

for (const which of [0, 1]) {
  const model = which === 0 ? 'GQA' : 'MHA';

  test(`${model}: top-k, scale, add and head reduction agree with the naive ops, at the boundary and on rows of unequal length`, async (t) => {
    if ('missing' in benches) return t.skip(benches.missing);
    await lookInside(benches.open[which]!, {
      boundary: ({ ops, slots, rows }, bench) => compareListOps(bench, ops, ops.slotNorms(slots, 'keys'), rows.count),
      step: ({ ops, slots, rows }, bench) => compareListOps(bench, ops, ops.slotNorms(slots, 'values'), rows.count),
    });
  });

  test(`${model}: scores end with -inf where a head ends, and weights sum to 1`, async (t) => {
    if ('missing' in benches) return t.skip(benches.missing);
    const check = (bench: ConformanceBench, weights: Tensor, lens: Int32Array, heads: number): void => {
      const [, lists = 1] = weights.shape;
      linesOf(bench, weights).forEach((line, i) => {
        const length = lens[Math.floor(i / lists) * heads]!;
        assert.ok(
          line.slice(length).every((value) => value === -Infinity),
          `list ${i} does not end at ${length}`,
        );
        const total = line.slice(0, length).reduce((sum, value) => sum + value, 0);
        assert.ok(Math.abs(total - 1) < 1e-5, `list ${i} sums to ${total}`);
      });
    };
    await lookInside(benches.open[which]!, {
      step: ({ ops, slots, queries }, bench) => {
        for (const gqa of ['none', 'mean', 'layer'] as const) {
          check(
            bench,
            ops.windowScores(queries('rotated'), slots, { reduce: 'mean', gqa }),
            slots.lens,
            slots.numKvHeads,
          );
        }
      },
      maintain: ({ slots, probs }, bench) => check(bench, probs(), slots.lens, slots.numKvHeads),
    });
  });

  test(`${model}: page bounds are bounds, and pages that a row lacks have none`, async (t) => {
    if ('missing' in benches) return t.skip(benches.missing);
    await lookInside(benches.open[which]!, {
      step: ({ ops, slots, shape, queries }, bench) => {
        const summary = ops.blockSummary(slots, 16);
        const copy = naiveCopy(bench, summary);
        for (const gqa of ['max', 'sum', 'mean', 'none'] as const) {
          const own = linesOf(bench, ops.blockScores(queries('rotated'), summary, shape, gqa));
          const expected = naiveOps.blockScores(naiveCopy(bench, queries('rotated')), copy, shape, gqa);
          const [, lists = 1, pages = 1] = expected.shape;
          own.forEach((line, i) => {
            const held = Math.ceil(slots.lens[Math.floor(i / lists) * slots.numKvHeads]! / 16);
            line.forEach((value, page) => {
              const wanted = dataOf(expected)[i * pages + page]!;
              if (page >= held) assert.equal(value, -Infinity);
              else
                assert.ok(
                  Math.abs(value - wanted) < 1e-4 * (1 + Math.abs(wanted)),
                  `page ${page}: ${value} is not ${wanted}`,
                );
            });
          });
        }
      },
    });
  });

  test(`${model}: sinks and recents are cut from each row's own slots`, async (t) => {
    if ('missing' in benches) return t.skip(benches.missing);
    await lookInside(benches.open[which]!, {
      boundary: ({ ops, slots, rows }, bench) => {
        const counts = rows.budgets.map(({ tokens }) => tokens);
        const own = listed(bench, ops.sinkRecent(slots, counts, 3));
        assert.deepEqual(own, listsOf(naiveOps.sinkRecent(slots, counts, 3), 1_000).flat());
      },
    });
  });
}

test('a probe that only looks leaves a row as it is', async (t) => {
  if ('missing' in benches) return t.skip(benches.missing);
  const looker: Method = { ...dense, id: 'looker', hooks: () => ({ decode: { select: () => readAll } }) };
  const settings = [
    { key: 'dense', method: dense, params: {} },
    { key: 'looker', method: looker, params: {} },
  ];
  const [own, watched] = (await runAll(benches.open[0]!, requestFor(subjectOf(dense, {}), { settings }))).map(
    fingerprint,
  );
  assert.deepEqual(watched, own);
});
