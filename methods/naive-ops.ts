/**
 * The ops of the method contract on plain fp64 arrays: one loop per line of their definition, for tests and as their documentation.
 * Nothing here is fast, and nothing here is used by the engine.
 */
import { createRandom } from '../core/random.js';
import type { GqaReduce, LayerShape, Ops, RowFacts, SlotsView, Tensor } from './contract.js';
import { naiveListOps } from './naive-list-ops.js';
import { dataOf, naiveTensor, padded, ragged, topAcross, topOf } from './naive-lists.js';
import { naiveSlotOps } from './naive-slot-ops.js';

/** Keys and values [row][KV head][slot][channel] of one layer; heads may hold different numbers of slots. */
export interface NaiveSlots extends SlotsView {
  readonly shape: LayerShape;
  readonly keys: readonly (readonly (readonly (readonly number[])[])[])[];
  readonly values: readonly (readonly (readonly (readonly number[])[])[])[];
}

export const naiveSlots = (
  layer: number,
  shape: LayerShape,
  keys: NaiveSlots['keys'],
  values: NaiveSlots['values'] = keys,
): NaiveSlots => {
  const lens = Int32Array.from(keys.flatMap((row) => row.map((head) => head.length)));
  return {
    layer,
    shape,
    rows: keys.length,
    numKvHeads: shape.numKvHeads,
    maxLen: Math.max(0, ...lens),
    lens,
    keys,
    values,
  };
};

export const naiveOps: Ops = {
  ...naiveListOps,
  ...naiveSlotOps,

  windowScores: (queries, slots, { reduce, pool, gqa }) => {
    const { keys, shape, maxLen } = slots as NaiveSlots;
    const [rows = 0, window = 0] = queries.shape;
    const perHead = keys.slice(0, rows).map((heads, row) =>
      Array.from({ length: shape.numQueryHeads }, (_, head) => {
        const cached = heads[kvHeadOf(shape, head)]!;
        const weights = Array.from({ length: window }, (_, j) =>
          softmaxRow(queryOf(queries, shape, row, j, head), cached, cached.length - window + j, shape),
        );
        return pooled(
          cached.map((_, slot) =>
            reduced(
              reduce,
              weights.map((line) => line[slot]!),
            ),
          ),
          pool,
        );
      }),
    );
    return padded(
      perHead.map((heads) => grouped(heads, shape, gqa)),
      maxLen,
    );
  },

  slotNorms: (slots, what) => {
    const { keys, values, maxLen } = slots as NaiveSlots;
    return padded(
      (what === 'keys' ? keys : values).map((heads) => heads.map((head) => head.map((x) => Math.hypot(...x)))),
      maxLen,
    );
  },

  // Another hash than the engine's: only its properties (uniform, equal for equal facts) are promised.
  randomScores: (slots, rows: RowFacts, seed) => {
    const { keys, layer, maxLen } = slots as NaiveSlots;
    return padded(
      keys.map((heads, row) =>
        heads.map((head, h) => {
          const stream = createRandom('scores', seed, rows.sequences[row]!.sampleSeed, layer, h);
          return head.map(() => stream.float());
        }),
      ),
      maxLen,
    );
  },

  blockSummary: (slots, pageSize) => {
    const { keys, shape, maxLen } = slots as NaiveSlots;
    const pages = Math.ceil(maxLen / pageSize);
    const summary = naiveTensor([keys.length, shape.numKvHeads, pages, 2, shape.headDim]);
    let at = 0;
    for (const heads of keys) {
      for (const head of heads) {
        for (let page = 0; page < pages; page++) {
          const members = head.slice(page * pageSize, (page + 1) * pageSize);
          for (const bound of [Math.min, Math.max]) {
            for (let c = 0; c < shape.headDim; c++) summary.data[at++] = bound(...members.map((key) => key[c]!));
          }
        }
      }
    }
    return summary;
  },

  // A page without members has minimum +inf and maximum -inf, hence the bound -inf: it is no page.
  blockScores: (queries, summary, shape, gqa) => {
    const [rows = 0, heads = 0, pages = 0] = summary.shape;
    const bounds = dataOf(summary);
    const [, window = 0] = queries.shape;
    const boundOf = (row: number, head: number, page: number): number => {
      const at = ((row * heads + kvHeadOf(shape, head)) * pages + page) * 2 * shape.headDim;
      if (bounds[at]! > bounds[at + shape.headDim]!) return -Infinity;
      const overQueries = Array.from({ length: window }, (_, j) =>
        queryOf(queries, shape, row, j, head).reduce(
          (sum, q, c) => sum + Math.max(q * bounds[at + c]!, q * bounds[at + shape.headDim + c]!),
          0,
        ),
      );
      return Math.max(...overQueries);
    };
    const scores = Array.from({ length: rows }, (_, row) =>
      grouped(
        Array.from({ length: shape.numQueryHeads }, (_, head) =>
          Array.from({ length: pages }, (_, page) => boundOf(row, head, page)),
        ),
        shape,
        gqa,
      ),
    );
    return padded(scores, pages);
  },

  topK: (scores, counts, { scope, sinks, recents, across }) => {
    const [scoreRows = 0, lists = 0, width = 0] = scores.shape;
    const isTensor = !Array.isArray(counts);
    const rows = isTensor ? (counts as Tensor).shape[0]! : (counts as readonly number[]).length;
    const countOf = (row: number, list: number): number =>
      isTensor ? dataOf(counts as Tensor)[row * lists + list]! : (counts as readonly number[])[row]!;
    const lineOf = (row: number, list: number): number[] => {
      const at = ((scoreRows === 1 ? 0 : row) * lists + list) * width;
      return Array.from(dataOf(scores).subarray(at, at + width));
    };
    const chosen = Array.from({ length: rows }, (_, row) => {
      const lines = Array.from({ length: lists }, (_, list) => lineOf(row, list));
      if (across === 'heads') return topAcross(lines, countOf(row, 0), sinks, recents);
      return lines.map((line, list) => topOf(line, countOf(row, list), sinks, recents));
    });
    return ragged(chosen, scope);
  },

  sinkRecent: (slots, counts, sinks) =>
    ragged(
      counts.map((count, row) =>
        Array.from({ length: slots.numKvHeads }, (_, head) => {
          const length = slots.lens[(slots.rows === 1 ? 0 : row) * slots.numKvHeads + head]!;
          const first = Math.max(Math.min(sinks, length), length - Math.max(0, count - sinks));
          const all = Array.from({ length }, (_, slot) => slot);
          return count >= length ? all : [...all.slice(0, Math.min(sinks, count)), ...all.slice(first)];
        }),
      ),
      'kvHead',
    ),

  lists: (values, scope) => ragged(values, scope),

  scale: (x, factor) =>
    naiveTensor(
      x.shape,
      dataOf(x).map((value) => (value === -Infinity ? value : factor * value)),
    ),

  add: (x, y) => {
    const other = dataOf(y);
    return naiveTensor(
      x.shape,
      dataOf(x).map((value, i) => value + other[i]!),
    );
  },

  maximum: (x, y) => {
    const other = dataOf(y);
    return naiveTensor(
      x.shape,
      dataOf(x).map((value, i) => Math.max(value, other[i]!)),
    );
  },

  sliceSlots: (scores, start, count) => {
    const [rows = 0, lists = 0, width = 0] = scores.shape;
    const line = (list: number) => dataOf(scores).subarray(list * width + start, list * width + start + count);
    return naiveTensor([rows, lists, count], Array.from({ length: rows * lists }, (_, list) => [...line(list)]).flat());
  },

  reduceHeads: (scores, how) => {
    const [rows = 0, lists = 0, width = 0] = scores.shape;
    const data = dataOf(scores);
    return padded(
      Array.from({ length: rows }, (_, row) => [
        Array.from({ length: width }, (_, i) =>
          reduced(
            how,
            Array.from({ length: lists }, (_, list) => data[(row * lists + list) * width + i]!),
          ),
        ),
      ]),
      width,
    );
  },
};

export const kvHeadOf = (shape: LayerShape, queryHead: number): number =>
  Math.floor(queryHead / (shape.numQueryHeads / shape.numKvHeads));

/** Query j of a head: queries are [rows, w, numQueryHeads * headDim]. */
export const queryOf = (queries: Tensor, shape: LayerShape, row: number, j: number, head: number): number[] => {
  const at = ((row * queries.shape[1]! + j) * shape.numQueryHeads + head) * shape.headDim;
  return Array.from(dataOf(queries).subarray(at, at + shape.headDim));
};

/** Attention weights of one query that sits at slot `own` over all slots; 0 for later ones. */
const softmaxRow = (
  query: readonly number[],
  keys: readonly (readonly number[])[],
  own: number,
  shape: LayerShape,
): number[] => {
  const { softmaxScale, softCap } = shape;
  const logits = keys.map((key, slot) => {
    if (slot > own) return -Infinity;
    const logit = key.reduce((sum, k, c) => sum + k * query[c]!, 0) * softmaxScale;
    return softCap === undefined ? logit : softCap * Math.tanh(logit / softCap);
  });
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
};

const reduced = (how: 'mean' | 'sum' | 'max' | 'var', values: readonly number[]): number => {
  const sum = values.reduce((total, value) => total + value, 0);
  if (how === 'sum') return sum;
  if (how === 'max') return Math.max(...values);
  const mean = sum / values.length;
  return how === 'mean' ? mean : values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length;
};

/** Stride 1; outside the line there are zeros, which the average counts. */
const pooled = (
  line: readonly number[],
  pool: { readonly kind: 'avg' | 'max'; readonly size: number } | undefined,
): number[] => {
  if (pool === undefined) return [...line];
  const half = (pool.size - 1) / 2;
  return line.map((_, i) => {
    const near = Array.from({ length: pool.size }, (_, j) => line[i - half + j] ?? 0);
    return pool.kind === 'max' ? Math.max(...near) : near.reduce((sum, value) => sum + value, 0) / pool.size;
  });
};

/** Query-head lines to KV-head lines. */
export const grouped = (lines: readonly (readonly number[])[], shape: LayerShape, gqa: GqaReduce): number[][] => {
  if (gqa === 'none') return lines.map((line) => [...line]);
  const groups = gqa === 'layer' ? 1 : shape.numKvHeads;
  const size = lines.length / groups;
  return Array.from({ length: groups }, (_, group) => {
    const members = lines.slice(group * size, (group + 1) * size);
    return members[0]!.map((_, i) =>
      reduced(
        gqa === 'layer' ? 'mean' : gqa,
        members.map((line) => line[i]!),
      ),
    );
  });
};
