/** Ops on parts of keys, groups of slots and lists: in closed form, and the engine's against the naive ones. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ConformanceBench } from './conformance-bench.js';
import { openBenches } from './conformance-models.js';
import type { CacheView, Ragged, SlotsView, StepView, Tensor, View } from './contract.js';
import { dataOf, listsOf, naiveTensor } from './naive-lists.js';
import { naiveOps, naiveSlots } from './naive-ops.js';
import { layerShape } from './naive-views.js';
import { listed, lookInside, naiveCopy } from './ops-probe.js';

const shape = layerShape({ numQueryHeads: 1, numKvHeads: 1, headDim: 2, headDimV: 2 });
const line = (values: number[]): Tensor => naiveTensor([1, 1, values.length], values);

test('k-means: two clumps of points are found from evenly spaced seeds; a cluster without members keeps its seed', () => {
  const slots = naiveSlots(0, shape, [
    [
      [
        [0, 0],
        [0, 2],
        [9, 0],
        [9, 2],
      ],
    ],
  ]);
  const { centroids, assignment, sizes } = naiveOps.kMeans(slots, 'keys', { clusters: 2, iterations: 3 });
  assert.deepEqual([...dataOf(assignment)], [0, 0, 1, 1]);
  assert.deepEqual([...dataOf(centroids)], [0, 1, 9, 1]);
  assert.deepEqual([...dataOf(sizes)], [2, 2]);
});

test('top-p: the fewest entries that hold the mass; ties to the lower index; protected entries count', () => {
  const top = (mass: number, sinks = 0): number[] =>
    listsOf(naiveOps.topP(line([1, 4, 2, 2, -Infinity, 1]), mass, { scope: 'layer', sinks, recents: 0 }), 6)[0]![0]!;
  assert.deepEqual(top(0.4), [1]);
  assert.deepEqual(top(0.6), [1, 2]);
  assert.deepEqual(top(0.5, 1), [0, 1]);
  assert.deepEqual(top(1), [0, 1, 2, 3, 5]);
});

test('entropy: ln n for n equal weights, 0 for one; softmax leaves missing entries missing', () => {
  assert.ok(Math.abs(dataOf(naiveOps.entropy(line([3, 3, 3, -Infinity])))[0]! - Math.log(3)) < 1e-12);
  assert.equal(dataOf(naiveOps.entropy(line([0, 7])))[0], 0);
  assert.deepEqual([...dataOf(naiveOps.softmax(line([2, -Infinity, 2])))], [0.5, -Infinity, 0.5]);
});

// ---------------------------------------------------------------- the engine's ops

const benches = await openBenches();
after(async () => {
  if ('close' in benches) await benches.close();
});

const agree = (bench: ConformanceBench, own: Tensor, expected: Tensor, what: string): void => {
  assert.deepEqual(own.shape, expected.shape, what);
  Array.from(bench.peek(own)).forEach((value, i) => {
    const wanted = dataOf(expected)[i]!;
    assert.ok(
      Object.is(value, wanted) || Math.abs(value - wanted) < 1e-5 * (1 + Math.abs(wanted)),
      `${what}: ${value} is not ${wanted} at ${i}`,
    );
  });
};

/** Keys as the projection onto every single channel. */
const keysOf = (bench: ConformanceBench, view: View & { readonly slots: SlotsView }): ReturnType<typeof naiveSlots> => {
  const { headDim: d, numKvHeads: heads } = view.shape;
  const identity = Array.from({ length: heads * d * d }, (_, i) => (Math.floor(i / d) % d === i % d ? 1 : 0));
  const { slots } = view;
  const data = Array.from(bench.peek(view.ops.projectKeys(slots, view.ops.constant(identity, [heads, d, d]), 0)));
  return naiveSlots(
    view.layer,
    view.shape,
    Array.from({ length: slots.rows }, (_, row) =>
      Array.from({ length: heads }, (_head, h) =>
        Array.from({ length: slots.lens[row * heads + h]! }, (_slot, s) =>
          Array.from(
            data.slice(((row * heads + h) * slots.maxLen + s) * d, ((row * heads + h) * slots.maxLen + s + 1) * d),
          ),
        ),
      ),
    ),
  );
};

const copyLists = (bench: ConformanceBench, lists: Ragged): Ragged => ({
  ...lists,
  values: naiveCopy(bench, lists.values),
  lens: naiveCopy(bench, lists.lens),
});

const compareSlotOps = (bench: ConformanceBench, view: CacheView | StepView, queries: Tensor): void => {
  const { ops, slots, shape: own } = view;
  const naive = keysOf(bench, view);
  const copy = naiveCopy(bench, queries);
  const rows = slots.rows;
  const d = own.headDim;
  const basisValues = Array.from({ length: own.numKvHeads * 3 * d }, (_, i) => Math.sin(i + 1));
  const [basis, naiveBasis] = [
    ops.constant(basisValues, [own.numKvHeads, 3, d]),
    naiveOps.constant(basisValues, [own.numKvHeads, 3, d]),
  ];
  for (const last of [0, 2])
    agree(bench, ops.projectKeys(slots, basis, last), naiveOps.projectKeys(naive, naiveBasis, last), 'projectKeys');
  const projected = ops.projectQueries(queries, basis, own);
  agree(bench, projected, naiveOps.projectQueries(copy, naiveBasis, own), 'projectQueries');
  const plane = ops.projectKeys(slots, basis, 0);
  const norms = ops.slotNorms(slots, 'keys');
  const counts = new Array<number>(rows).fill(4);
  const kept = ops.topK(norms, counts, { scope: 'kvHead', sinks: 1, recents: 1 });
  const others = ops.complement(kept, slots);
  assert.deepEqual(listed(bench, others), listsOf(naiveOps.complement(copyLists(bench, kept), naive), 1_000).flat());
  const cosines = ops.pairwiseCosine(slots, 'keys', others, kept);
  const naiveCosines = naiveOps.pairwiseCosine(naive, 'keys', copyLists(bench, others), copyLists(bench, kept));
  agree(bench, cosines, naiveCosines, 'pairwiseCosine');
  agree(bench, ops.argmax(cosines), naiveOps.argmax(naiveCopy(bench, cosines)), 'argmax');
  agree(
    bench,
    ops.take(kept.values, ops.argmax(cosines)),
    naiveOps.take(naiveCopy(bench, kept.values), naiveCopy(bench, ops.argmax(cosines))),
    'take',
  );
  for (const gqa of ['none', 'max', 'mean', 'layer'] as const) {
    agree(
      bench,
      ops.planeScores(projected, plane, slots.lens, own, gqa),
      naiveOps.planeScores(naiveCopy(bench, projected), naiveCopy(bench, plane), slots.lens, own, gqa),
      `planeScores ${gqa}`,
    );
    for (const lists of [1, own.numKvHeads, own.numQueryHeads]) {
      const scope = lists === 1 ? 'layer' : lists === own.numKvHeads ? 'kvHead' : 'queryHead';
      const values = Array.from({ length: rows * lists * 3 }, (_, i) => (i % 3) * 4 + (Math.floor(i / 3) % 4));
      const channels = {
        scope,
        values: ops.constant(values, [rows, lists, 3], 'i32'),
        lens: ops.constant(new Array<number>(rows * lists).fill(3), [rows, lists], 'i32'),
        maxLen: 3,
      } as const;
      agree(
        bench,
        ops.channelScores(queries, slots, channels, gqa),
        naiveOps.channelScores(copy, naive, copyLists(bench, channels), gqa),
        `channelScores ${scope} ${gqa}`,
      );
    }
  }
  const clusters = ops.kMeans(slots, 'keys', { clusters: 5, iterations: 2 });
  const naiveClusters = naiveOps.kMeans(naive, 'keys', { clusters: 5, iterations: 2 });
  agree(bench, clusters.assignment, naiveClusters.assignment, 'assignment');
  agree(bench, clusters.centroids, naiveClusters.centroids, 'centroids');
  agree(bench, clusters.sizes, naiveClusters.sizes, 'sizes');
  agree(
    bench,
    ops.groupMeans(slots, 'keys', clusters.assignment, 5),
    naiveOps.groupMeans(naive, 'keys', naiveClusters.assignment, 5),
    'groupMeans',
  );
  const layers = [
    kept.lens,
    ops.plus(
      kept.lens,
      Array.from({ length: rows }, (_, row) => row + 1),
    ),
  ];
  const naiveLayers = layers.map((t) => naiveCopy(bench, t));
  agree(bench, ops.stack(layers), naiveOps.stack(naiveLayers), 'stack');
  agree(bench, ops.layerOf(ops.stack(layers), 1), naiveLayers[1]!, 'layerOf');
  const weights = ops.softmax(norms);
  agree(bench, weights, naiveOps.softmax(naiveCopy(bench, norms)), 'softmax');
  agree(bench, ops.entropy(weights), naiveOps.entropy(naiveCopy(bench, weights)), 'entropy');
  for (const mass of [0.1, 0.7]) {
    const how = { scope: 'kvHead', sinks: 1, recents: 2 } as const;
    assert.deepEqual(
      listed(bench, ops.topP(weights, mass, how)),
      listsOf(naiveOps.topP(naiveCopy(bench, weights), mass, how), 1_000).flat(),
    );
  }
};

for (const which of [0, 1]) {
  test(`${which === 0 ? 'GQA' : 'MHA'}: the engine's ops agree, at the boundary and on rows of unequal length`, async (t) => {
    if ('missing' in benches) return t.skip(benches.missing);
    await lookInside(benches.open[which]!, {
      boundary: (view, bench) => compareSlotOps(bench, view, view.windowQueries()),
      step: (view, bench) => compareSlotOps(bench, view, view.queries('rotated')),
    });
  });
}
