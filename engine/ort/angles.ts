/** Cosines and sines that a graph is fed with: tables of the architecture, made on the host as positions are reached. */
import type { RotaryEmbedding } from '../core/rotary.js';
import { decoderNames as names } from './decoder-graph.js';
import type { HostTensor } from './session.js';

/** Least rows of a table; it grows by doubling. */
const LEAST_POSITIONS = 1_024;

interface Table {
  readonly set: string;
  readonly positions: number;
  readonly data: Float32Array;
}

/** Feeds of `count` tokens from position `first` on, of a text of `length` tokens. */
export type AnglesOf = (first: number, count: number, length: number) => Record<string, HostTensor>;

/** One table of each embedding is kept: a text changes its set once or, where theta grows with the text, with every call. */
export const createAngles = (embeddings: readonly RotaryEmbedding[]): AnglesOf => {
  const tables: Table[] = [];
  const tableOf = (embedding: number, set: string, positions: number): Table => {
    const known = tables[embedding];
    if (known !== undefined && known.set === set && known.positions >= positions) return known;
    let rows = LEAST_POSITIONS;
    while (rows < positions) rows *= 2;
    const made = { set, positions: rows, data: embeddings[embedding]!.table(set, rows) };
    tables[embedding] = made;
    return made;
  };
  return (first, count, length) => {
    const feeds: Record<string, HostTensor> = {};
    embeddings.forEach((embedding, at) => {
      const set = embedding.setOf(length, count === 1 && length === first + 1);
      const { data, positions } = tableOf(at, set, first + count);
      const width = data.length / positions;
      const half = width / 2;
      const cos = new Float32Array(count * half);
      const sin = new Float32Array(count * half);
      for (let t = 0; t < count; t++) {
        const row = (first + t) * width;
        cos.set(data.subarray(row, row + half), t * half);
        sin.set(data.subarray(row + half, row + width), t * half);
      }
      feeds[names.cos(at)] = { f32: cos, shape: [count, half] };
      feeds[names.sin(at)] = { f32: sin, shape: [count, half] };
    });
    return feeds;
  };
};
