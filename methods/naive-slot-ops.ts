/** Naive ops on parts of keys and on groups of slots. */
import { createRandom } from '../core/random.js';
import type { GqaReduce, LayerShape, Ragged, SlotOps } from './contract.js';
import { dataOf, listsOf, naiveTensor, padded } from './naive-lists.js';
import { grouped, kvHeadOf, type NaiveSlots, queryOf } from './naive-ops.js';

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** Lines of every query head of a row, reduced over the group: `score` of one query head. */
const perGroup = (
  rows: number,
  shape: LayerShape,
  gqa: GqaReduce,
  score: (row: number, head: number) => number[],
): number[][][] =>
  Array.from({ length: rows }, (_, row) => {
    const lines = Array.from({ length: shape.numQueryHeads }, (_head, head) => score(row, head));
    const longest = Math.max(...lines.map((line) => line.length));
    const even = lines.map((line) => Array.from({ length: longest }, (_entry, i) => line[i] ?? -Infinity));
    return grouped(even, shape, gqa);
  });

export const naiveSlotOps: SlotOps = {
  channelScores: (queries, slots, channels: Ragged, gqa) => {
    const { keys, shape, maxLen } = slots as NaiveSlots;
    const lists = listsOf(channels, shape.headDim);
    const scores = perGroup(keys.length, shape, gqa, (row, head) => {
      const own = lists[lists.length === 1 ? 0 : row]!;
      const list = own[Math.floor((head * own.length) / shape.numQueryHeads)]!;
      return keys[row]![kvHeadOf(shape, head)]!.map((key) =>
        Math.max(
          ...Array.from({ length: queries.shape[1]! }, (_, t) => {
            const query = queryOf(queries, shape, row, t, head);
            return list.reduce((sum, c) => sum + query[c]! * key[c]!, 0);
          }),
        ),
      );
    });
    return padded(scores, maxLen);
  },

  projectKeys: (slots, basis, last) => {
    const { keys, maxLen } = slots as NaiveSlots;
    const [, rank = 0, dim = 0] = basis.shape;
    const length = last === 0 ? maxLen : last;
    const direction = (head: number, r: number): number[] =>
      Array.from(dataOf(basis).subarray((head * rank + r) * dim, (head * rank + r + 1) * dim));
    return naiveTensor(
      [keys.length, keys[0]!.length, length, rank],
      keys.flatMap((heads) =>
        heads.flatMap((head, h) => {
          const chosen = last === 0 ? head : head.slice(-last);
          return Array.from({ length }, (_, i) =>
            Array.from({ length: rank }, (_r, r) => (i < chosen.length ? dot(direction(h, r), chosen[i]!) : 0)),
          ).flat();
        }),
      ),
    );
  },

  projectQueries: (queries, basis, shape) => {
    const [bases = 1, rank = 0, dim = 0] = basis.shape;
    const [rows = 0, window = 0] = queries.shape;
    const out = naiveTensor([rows, window, shape.numQueryHeads * rank]);
    let at = 0;
    for (let row = 0; row < rows; row++) {
      for (let t = 0; t < window; t++) {
        for (let head = 0; head < shape.numQueryHeads; head++) {
          const own = Math.floor((head * bases) / shape.numQueryHeads);
          for (let r = 0; r < rank; r++) {
            const line = Array.from(dataOf(basis).subarray((own * rank + r) * dim, (own * rank + r + 1) * dim));
            out.data[at++] = dot(line, queryOf(queries, shape, row, t, head));
          }
        }
      }
    }
    return out;
  },

  planeScores: (queries, plane, lens, shape, gqa) => {
    const [rows = 0, heads = 0, capacity = 0, width = 0] = plane.shape;
    const scores = perGroup(rows, shape, gqa, (row, head) => {
      const list = row * heads + kvHeadOf(shape, head);
      return Array.from({ length: lens[list]! }, (_, i) => {
        const at = (list * capacity + i) * width;
        const entry = Array.from(dataOf(plane).subarray(at, at + width));
        return Math.max(
          ...Array.from({ length: queries.shape[1]! }, (_t, t) =>
            dot(entry, queryOf(queries, { ...shape, headDim: width }, row, t, head)),
          ),
        );
      });
    });
    return padded(scores, Math.max(...lens));
  },

  pairwiseCosine: (slots, what, left, right) => {
    const naive = slots as NaiveSlots;
    const [rows, columns] = [listsOf(left, slots.maxLen), listsOf(right, slots.maxLen)];
    const out = naiveTensor([rows.length, slots.numKvHeads, left.maxLen, right.maxLen]);
    let at = 0;
    naive[what].forEach((heads, row) => {
      heads.forEach((head, h) => {
        for (let i = 0; i < left.maxLen; i++) {
          for (let j = 0; j < right.maxLen; j++) {
            const [a, b] = [rows[row]![h]![i], columns[row]![h]![j]];
            const [x, y] = [head[a ?? -1], head[b ?? -1]];
            const norms = x === undefined || y === undefined ? 0 : Math.hypot(...x) * Math.hypot(...y);
            out.data[at++] = x === undefined || y === undefined ? -Infinity : norms === 0 ? 0 : dot(x, y) / norms;
          }
        }
      });
    });
    return out;
  },

  groupMeans: (slots, what, assignment, groups) => {
    const naive = slots as NaiveSlots;
    const dim = what === 'keys' ? naive.shape.headDim : naive.shape.headDimV;
    const own = dataOf(assignment);
    return naiveTensor(
      [slots.rows, slots.numKvHeads, groups, dim],
      naive[what].flatMap((heads, row) =>
        heads.flatMap((head, h) =>
          Array.from({ length: groups }, (_, group) => {
            const members = head.filter((_s, slot) => own[(row * heads.length + h) * slots.maxLen + slot] === group);
            const sums = Array.from({ length: dim }, (_c, c) => members.reduce((sum, x) => sum + x[c]!, 0));
            return sums.map((sum) => (members.length === 0 ? 0 : sum / members.length));
          }).flat(),
        ),
      ),
    );
  },

  slotValues: (field, slots) => {
    const [rows = 0, heads = 0, capacity = 0] = field.shape;
    const missing = field.dtype === 'i32' ? -1 : -Infinity;
    return naiveTensor(
      [rows, heads, slots.maxLen],
      Array.from({ length: rows * heads * slots.maxLen }, (_, i) => {
        const [list, slot] = [Math.floor(i / slots.maxLen), i % slots.maxLen];
        return slot < slots.lens[list]! ? dataOf(field)[list * capacity + slot]! : missing;
      }),
      field.dtype,
    );
  },

  // The k-means++ seeds come from another hash than the engine's; evenly spaced seeds are the same.
  kMeans: (slots, what, { clusters, iterations, seed }) => {
    const naive = slots as NaiveSlots;
    const dim = what === 'keys' ? naive.shape.headDim : naive.shape.headDimV;
    const perHead = naive[what].flatMap((heads) =>
      heads.map((points, h) => {
        const count = Math.min(clusters, points.length);
        const seeds =
          seed === undefined
            ? Array.from({ length: count }, (_, i) => points[Math.floor(((i + 0.5) * points.length) / count)]!)
            : plusPlus(points, count, seed, slots.layer, h);
        return lloyd(points, seeds, iterations);
      }),
    );
    const shape = [slots.rows, slots.numKvHeads];
    const filled = <T>(list: readonly T[], length: number, fill: T): T[] =>
      Array.from({ length }, (_, i) => list[i] ?? fill);
    return {
      centroids: naiveTensor(
        [...shape, clusters, dim],
        perHead.flatMap(({ centroids }) => filled(centroids, clusters, new Array<number>(dim).fill(0)).flat()),
      ),
      assignment: naiveTensor(
        [...shape, slots.maxLen],
        perHead.flatMap(({ assignment }) => filled(assignment, slots.maxLen, -1)),
        'i32',
      ),
      sizes: naiveTensor(
        [...shape, clusters],
        perHead.flatMap(({ assignment }) =>
          Array.from({ length: clusters }, (_, k) => assignment.filter((own) => own === k).length),
        ),
        'i32',
      ),
    };
  },
};

type Points = readonly (readonly number[])[];
const distance = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0);

const nearest = (point: readonly number[], centroids: Points): number =>
  centroids.reduce(
    (best, centroid, k) => (distance(point, centroid) < distance(point, centroids[best]!) ? k : best),
    0,
  );

const lloyd = (points: Points, seeds: Points, iterations: number): { centroids: number[][]; assignment: number[] } => {
  let centroids = seeds.map((seed) => [...seed]);
  let assignment = points.map((point) => nearest(point, centroids));
  for (let round = 0; round < iterations; round++) {
    centroids = centroids.map((old, k) => {
      const members = points.filter((_, i) => assignment[i] === k);
      return members.length === 0
        ? old
        : old.map((_, c) => members.reduce((sum, point) => sum + point[c]!, 0) / members.length);
    });
    assignment = points.map((point) => nearest(point, centroids));
  }
  return { centroids, assignment };
};

const plusPlus = (points: Points, count: number, seed: number, layer: number, head: number): Points => {
  const stream = createRandom('k-means', seed, layer, head);
  const seeds = [points[Math.floor(stream.float() * points.length)]!];
  while (seeds.length < count) {
    const weights = points.map((point) => Math.min(...seeds.map((own) => distance(point, own))));
    const wanted = stream.float() * weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    let chosen = 0;
    while (chosen + 1 < points.length && sum + weights[chosen]! <= wanted) sum += weights[chosen++]!;
    seeds.push(points[chosen]!);
  }
  return seeds;
};
