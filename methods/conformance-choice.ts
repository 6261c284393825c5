/** Checks on what a method chooses, on planted keys and queries: no engine, plain arrays. */
import assert from 'node:assert/strict';
import { type Check, type CheckFacts, first } from './conformance-check.js';
import type { Budget, GqaReduce, LayerShape, Ops, Tensor } from './contract.js';
import { oracleTopK } from './control/oracle-top-k.js';
import { dataOf, naiveTensor } from './naive-lists.js';
import { naiveOps } from './naive-ops.js';
import {
  budgetOf,
  keptByMethod,
  layerShape,
  modelFacts,
  type PlantedSample,
  plantSample,
  readByMethod,
  rowsOf,
  settingOf,
} from './naive-views.js';
import { attentionWeight, indicesFrom, queryHeadsOf } from './oracle-attention.js';

const evidence = [{ start: 10, end: 14 }];
const gqa = [layerShape(), layerShape()];

export const evicts = ({ hooks, subject }: CheckFacts): boolean =>
  hooks.cache?.finishPrefill !== undefined &&
  subject.method.budgetAxis === 'residentBytes' &&
  subject.method.family !== 'quantisation';
export const selects = ({ hooks }: CheckFacts): boolean => hooks.decode?.select !== undefined;

const choosesNothing = (facts: CheckFacts): string | undefined =>
  evicts(facts) || selects(facts) ? undefined : 'neither evicts nor selects tokens';
const isRandomised = ({ subject }: CheckFacts): string | undefined => subject.randomised;

/** Budgets of these shares that the method admits. */
const admitted = (
  { subject: { method, params } }: CheckFacts,
  sample: PlantedSample,
  shares: readonly number[],
): Budget[] => {
  const model = modelFacts(sample.shapes);
  return shares
    .map((share) =>
      budgetOf(Math.floor(share * sample.contextLength), sample.contextLength, method.covers ?? 'context'),
    )
    .filter((budget) => {
      const hooks = method.hooks(settingOf(params, budget), model);
      try {
        hooks.admit?.(rowsOf(sample, [budget]).sequences[0]!);
        return true;
      } catch {
        return false;
      }
    });
};

/** Chosen slots [row][layer][head]: what stays in the cache, or where nothing leaves it, what a step reads. */
const chosen = (
  facts: CheckFacts,
  sample: PlantedSample,
  budgets: readonly Budget[],
  ops: Ops = naiveOps,
): Promise<number[][][][]> => {
  const { method, params } = facts.subject;
  return evicts(facts)
    ? keptByMethod(method, params, sample, budgets, ops)
    : Promise.resolve(readByMethod(method, params, sample, budgets, ops));
};

const planted = (
  { subject: { contextTokens } }: CheckFacts,
  seed: number,
  shapes: readonly LayerShape[] = gqa,
): PlantedSample => plantSample(seed, shapes, contextTokens, contextTokens, evidence);

export const choiceChecks: readonly Check[] = [
  {
    property: 'T2',
    title: 'KV heads repeated for each query head keep the same sets when scores are reduced over the group',
    withoutEngine: true,
    exempt: (facts) => first(choosesNothing(facts), isRandomised(facts)),
    run: async (facts) => {
      const sample = planted(facts, 21);
      const groupSize = 4;
      const wide: PlantedSample = {
        ...sample,
        shapes: gqa.map((shape) => ({ ...shape, numKvHeads: shape.numQueryHeads })),
        keys: sample.keys.map((heads) => heads.flatMap((head) => new Array<typeof head>(groupSize).fill(head))),
      };
      const budgets = admitted(facts, sample, [0.5, 0.75]);
      assert.ok(budgets.length > 0, 'no budget was admitted');
      const narrow = await chosen(facts, sample, budgets);
      const repeated = await chosen(facts, wide, budgets, groupedOps(groupSize));
      assert.deepEqual(
        repeated,
        narrow.map((row) => row.map((heads) => heads.flatMap((head) => new Array<number[]>(groupSize).fill(head)))),
      );
    },
  },
  {
    property: 'T6',
    title: 'no choice holds more attention mass than the oracle of the same size',
    withoutEngine: true,
    exempt: choosesNothing,
    run: async (facts) => {
      for (let seed = 0; seed < 5; seed++) {
        const sample = planted(facts, seed);
        for (const budget of admitted(facts, sample, [0.25, 0.5])) {
          const [own] = await chosen(facts, sample, [budget]);
          own!.forEach((heads, layer) => {
            heads.forEach((slots, head) => {
              const size = budgetOf(slots.length, sample.contextLength);
              const best = readByMethod(oracleTopK, {}, sample, [size])[0]![layer]![head]!;
              assert.ok(
                massOf(sample, layer, head, slots) <= massOf(sample, layer, head, best) + 1e-12,
                'more mass than the oracle',
              );
            });
          });
        }
      }
    },
  },
  {
    property: 'T7',
    title: 'a planted key that all late queries look for is chosen',
    withoutEngine: true,
    exempt: (facts) => first(choosesNothing(facts), looksAtQueries(facts) ? undefined : 'does not look at queries'),
    run: async (facts) => {
      for (const slot of [17, 40, 63]) {
        const sample = withNeedle(planted(facts, slot), slot);
        const budgets = admitted(facts, sample, [0.5]);
        assert.ok(budgets.length > 0, 'no budget was admitted');
        const [row] = await chosen(facts, sample, budgets);
        for (const slots of row!.flat())
          assert.ok(slots.includes(slot), `slot ${slot} is not among ${slots.join(', ')}`);
      }
    },
  },
  {
    property: 'C15',
    title: 'a larger budget only adds to the choice',
    withoutEngine: true,
    exempt: choosesNothing,
    run: async (facts) => {
      const sample = planted(facts, 4);
      const budgets = admitted(facts, sample, [0.125, 0.25, 0.5, 0.75, 1]);
      assert.ok(budgets.length >= 2, 'fewer than two budgets were admitted');
      const rows = await chosen(facts, sample, budgets);
      rows.slice(1).forEach((larger, i) => {
        rows[i]!.forEach((heads, layer) => {
          heads.forEach((slots, head) => {
            const wider = new Set(larger[layer]![head]);
            for (const slot of slots) assert.ok(wider.has(slot), `slot ${slot} left when the budget grew`);
          });
        });
      });
    },
  },
  {
    property: 'C23',
    title: 'heads have no names: permuted KV heads choose permuted sets, equal heads equal ones',
    withoutEngine: true,
    exempt: (facts) => first(choosesNothing(facts), isRandomised(facts)),
    run: async (facts) => {
      const shapes = [layerShape({ numQueryHeads: 6, numKvHeads: 3 }), layerShape({ numQueryHeads: 6, numKvHeads: 3 })];
      const sample = planted(facts, 12, shapes);
      const budgets = admitted(facts, sample, [0.5]);
      const [plain] = await chosen(facts, sample, budgets);
      for (const order of [
        [2, 0, 1],
        [1, 0, 2],
        [0, 0, 1],
      ]) {
        const [moved] = await chosen(facts, withHeads(sample, order), budgets);
        const isPermutation = new Set(order).size === order.length;
        moved!.forEach((heads, layer) => {
          // A copied head may change a choice that the whole layer shares, but never makes equal heads differ.
          if (isPermutation)
            assert.deepEqual(
              heads,
              order.map((head) => plain![layer]![head]),
            );
          else assert.deepEqual(heads[1], heads[0]);
        });
      }
    },
  },
];

const looksAtQueries = ({ declared, hooks }: CheckFacts): boolean =>
  hooks.decode?.select !== undefined || declared.needs.some((need) => 'view' in need && need.view === 'windowQueries');

const massOf = (sample: PlantedSample, layer: number, kvHead: number, slots: readonly number[]): number => {
  let mass = 0;
  for (const head of queryHeadsOf(sample, layer, kvHead)) {
    for (const slot of slots) mass += attentionWeight(sample, layer, head, sample.contextLength - 1, slot);
  }
  return mass;
};

/** Every late query points to one channel, and so does one key: it gets nearly all the weight. */
const withNeedle = (sample: PlantedSample, slot: number): PlantedSample => {
  const pointed = (vector: readonly number[], size: number): number[] =>
    vector.map((x, i) => (i % 16 === 3 ? size : x / 4));
  return {
    ...sample,
    queries: sample.queries.map((tokens) =>
      tokens.map((query, at) => (at >= sample.contextLength - 30 ? pointed(query, 6) : query)),
    ),
    keys: sample.keys.map((heads) =>
      heads.map((keys) => keys.map((key, at) => (at === slot ? pointed(key, 12) : key))),
    ),
  };
};

/** The sample with KV head i, and its query heads, taken from head order[i]. */
const withHeads = (sample: PlantedSample, order: readonly number[]): PlantedSample => ({
  ...sample,
  keys: sample.keys.map((heads) => order.map((head) => heads[head]!)),
  queries: sample.queries.map((tokens, layer) => {
    const { numQueryHeads, numKvHeads, headDim } = sample.shapes[layer]!;
    const width = (numQueryHeads / numKvHeads) * headDim;
    return tokens.map((query) => order.flatMap((head) => query.slice(head * width, (head + 1) * width)));
  }),
});

/** The ops on a layer whose KV heads are repeated: reductions over a group run over the repeats. */
const groupedOps = (groupSize: number): Ops => ({
  ...naiveOps,
  windowScores: (queries, slots, how) =>
    regroup(naiveOps.windowScores(queries, slots, { ...how, gqa: plainOr(how.gqa) }), how.gqa, groupSize),
  channelScores: (queries, slots, channels, reduce) =>
    regroup(naiveOps.channelScores(queries, slots, channels, plainOr(reduce)), reduce, groupSize),
  planeScores: (queries, plane, lens, shape, reduce) =>
    regroup(naiveOps.planeScores(queries, plane, lens, shape, plainOr(reduce)), reduce, groupSize),
  blockScores: (queries, summary, shape, reduce) =>
    regroup(naiveOps.blockScores(queries, summary, shape, plainOr(reduce)), reduce, groupSize),
});

const plainOr = (how: GqaReduce): GqaReduce => (how === 'layer' ? 'layer' : 'none');

const regroup = (scores: Tensor, how: GqaReduce, groupSize: number): Tensor => {
  if (how === 'none' || how === 'layer') return scores;
  const [rows = 0, heads = 0, width = 0] = scores.shape;
  const data = dataOf(scores);
  const out = naiveTensor(scores.shape);
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const group = head - (head % groupSize);
      for (let i = 0; i < width; i++) {
        const members = indicesFrom(group, group + groupSize).map(
          (member) => data[(row * heads + member) * width + i]!,
        );
        const sum = members.reduce((a, b) => a + b, 0);
        out.data[(row * heads + head) * width + i] =
          how === 'max' ? Math.max(...members) : how === 'sum' ? sum : sum / groupSize;
      }
    }
  }
  return out;
};
