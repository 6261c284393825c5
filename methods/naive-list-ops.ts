/** Naive ops on lists of scores and slots. */
import type { ListOps, Tensor } from './contract.js';
import { dataOf, listsOf, type NaiveTensor, naiveTensor, ragged } from './naive-lists.js';

/** The lists along the last axis. */
const linesOf = (x: { readonly shape: readonly number[] }): number[][] => {
  const width = x.shape.at(-1)!;
  const data = dataOf(x as Parameters<typeof dataOf>[0]);
  return Array.from({ length: data.length / width }, (_, i) => Array.from(data.subarray(i * width, (i + 1) * width)));
};

/** Rows of `yes` where the predicate is above 0, else of `no`. */
const chosenRows = (predicate: Tensor, yes: Tensor, no: Tensor): NaiveTensor => {
  const [rows = 0, lists = 0] = yes.shape;
  const width = Math.max(yes.shape[2]!, no.shape[2]!);
  const lines = Array.from({ length: rows }, (_, row) => {
    const from = dataOf(predicate)[row]! > 0 ? yes : no;
    const own = from.shape[2]!;
    return Array.from({ length: lists }, (_list, list) =>
      Array.from({ length: width }, (_entry, i) =>
        i < own ? dataOf(from)[(row * lists + list) * own + i]! : yes.dtype === 'i32' ? -1 : 0,
      ),
    );
  });
  return naiveTensor([rows, lists, width], lines.flat(2), yes.dtype);
};

export const naiveListOps: ListOps = {
  choose: chosenRows,

  chooseLists: (predicate, yes, no) => {
    const flat = (lens: Tensor): NaiveTensor => naiveTensor([...lens.shape, 1], dataOf(lens), 'i32');
    const values = chosenRows(predicate, yes.values, no.values);
    const lens = naiveTensor(yes.lens.shape, chosenRows(predicate, flat(yes.lens), flat(no.lens)).data, 'i32');
    return { scope: yes.scope, values, lens, maxLen: values.shape[2]! };
  },

  constant: (values, shape, dtype = 'f32') => naiveTensor(shape, values, dtype),

  softmax: (x) =>
    naiveTensor(
      x.shape,
      linesOf(x).flatMap((line) => {
        const largest = Math.max(...line);
        const weights = line.map((value) => (value === -Infinity ? 0 : Math.exp(value - largest)));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        return line.map((value, i) => (value === -Infinity ? value : weights[i]! / total));
      }),
    ),

  entropy: (weights) =>
    naiveTensor(
      weights.shape.slice(0, -1),
      linesOf(weights).map((line) => {
        const held = line.filter((weight) => weight > 0);
        const total = held.reduce((sum, weight) => sum + weight, 0);
        return held.reduce((sum, weight) => sum - (weight / total) * Math.log(weight / total), 0);
      }),
    ),

  argmax: (x) =>
    naiveTensor(
      x.shape.slice(0, -1),
      linesOf(x).map((line) => {
        const largest = Math.max(...line);
        return largest === -Infinity ? -1 : line.indexOf(largest);
      }),
      'i32',
    ),

  topP: (weights, mass, { scope, sinks, recents }) => {
    const [rows = 0, lists = 0] = weights.shape;
    const chosen = linesOf(weights).map((line) => {
      const valid = line.flatMap((weight, index) => (weight === -Infinity ? [] : [{ weight, index }]));
      const isProtected = (i: number): boolean => i < sinks || i >= valid.length - recents;
      const taken = valid.filter((_, i) => isProtected(i));
      const free = valid.filter((_, i) => !isProtected(i)).sort((a, b) => b.weight - a.weight || a.index - b.index);
      const total = (entries: readonly { weight: number }[]): number =>
        entries.reduce((sum, entry) => sum + entry.weight, 0);
      for (const entry of free) {
        if (total(taken) >= mass * total(valid)) break;
        taken.push(entry);
      }
      return taken.map(({ index }) => index).sort((a, b) => a - b);
    });
    return ragged(
      Array.from({ length: rows }, (_, row) => chosen.slice(row * lists, (row + 1) * lists)),
      scope,
    );
  },

  stack: (tensors) => {
    const [rows = 0, n = 0] = tensors[0]!.shape;
    return naiveTensor(
      [rows, tensors.length, n],
      Array.from({ length: rows }, (_, row) => tensors.map((t) => linesOf(t)[row]!)).flat(2),
      tensors[0]!.dtype,
    );
  },

  layerOf: (stacked, index) => {
    const [rows = 0, layers = 0, n = 0] = stacked.shape;
    const lines = linesOf(stacked);
    return naiveTensor(
      [rows, n],
      Array.from({ length: rows }, (_, row) => lines[row * layers + index]!).flat(),
      stacked.dtype,
    );
  },

  without: (scores, lists) => {
    const [scoreRows = 0, count = 0, width = 0] = scores.shape;
    const named = listsOf(lists, width);
    const lines = linesOf(scores);
    return naiveTensor(
      [named.length, count, width],
      named.flatMap((heads, row) =>
        heads.flatMap((list, head) =>
          lines[(scoreRows === 1 ? 0 : row) * count + head]!.map((value, i) => (list.includes(i) ? -Infinity : value)),
        ),
      ),
    );
  },

  plus: (counts, perRow) => {
    const size = dataOf(counts).length / counts.shape[0]!;
    return naiveTensor(
      counts.shape,
      dataOf(counts).map((value, i) => value + perRow[Math.floor(i / size)]!),
      'i32',
    );
  },

  take: (values, index) => {
    const missing = values.dtype === 'i32' ? -1 : -Infinity;
    const lines = linesOf(values);
    return naiveTensor(
      index.shape,
      linesOf(index).flatMap((line, list) => line.map((at) => (at < 0 ? missing : lines[list]![at]!))),
      values.dtype,
    );
  },

  complement: (lists, slots) =>
    ragged(
      listsOf(lists, slots.maxLen).map((heads, row) =>
        heads.map((list, head) => {
          const own = (slots.rows === 1 ? 0 : row) * slots.numKvHeads + (heads.length === 1 ? 0 : head);
          return Array.from({ length: slots.lens[own]! }, (_, slot) => slot).filter((slot) => !list.includes(slot));
        }),
      ),
      lists.scope,
    ),
};
