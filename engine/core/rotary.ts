/** Tables of cosines and sines on the device: made when a pass first needs them, shared by the layers that rotate alike. */
import type { Device, DeviceTensor } from './device.js';

/** One rotary embedding of a model, as far as the layer loop is concerned. */
export interface RotaryEmbedding {
  /** Which angles a text of `length` tokens is rotated by: texts with equal answers share a table. */
  setOf(length: number, isOneToken: boolean): string;
  /** f32 [positions, ropeDims] of a set: cosines, then sines, scaling applied. */
  table(set: string, positions: number): Float32Array;
}

export interface RotaryTables {
  /** The table of one embedding and set with a row for every position below `positions`; valid until the next call. */
  table(embedding: number, set: string, positions: number): DeviceTensor;
  dispose(): void;
}

/** Sets of one embedding kept on the device: those of the prefill, the question and the steps of one sample. */
const MAX_SETS = 3;
/** A table grows by doubling from here. */
const LEAST_POSITIONS = 4_096;

export const createRotaryTables = (device: Device, embeddings: readonly RotaryEmbedding[]): RotaryTables => {
  const kept = embeddings.map(() => new Map<string, DeviceTensor>());
  return {
    table(embedding, set, positions) {
      const tables = kept[embedding]!;
      const known = tables.get(set);
      tables.delete(set);
      if (known !== undefined && known.shape[0]! >= positions) {
        tables.set(set, known);
        return known;
      }
      if (known !== undefined) device.free(known);
      if (tables.size >= MAX_SETS) {
        const [oldest, table] = tables.entries().next().value!;
        tables.delete(oldest);
        device.free(table);
      }
      let rows = LEAST_POSITIONS;
      while (rows < positions) rows *= 2;
      const values = embeddings[embedding]!.table(set, rows);
      const made = device.lasting('f32', [rows, values.length / rows]);
      device.addon.upload(made.id, values);
      tables.set(set, made);
      return made;
    },
    dispose() {
      for (const tables of kept) {
        for (const table of tables.values()) device.free(table);
        tables.clear();
      }
    },
  };
};
