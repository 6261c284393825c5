import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer';
import type { Value } from '../cells-csv.js';

/** Rows as a Parquet file: numbers as doubles, true and false as booleans, everything else as text; what was not measured is null. */
export const parquetOf = (names: readonly string[], rows: readonly (readonly Value[])[]): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: names.map((name, i) =>
        columnOf(
          name,
          rows.map((row) => row[i]),
        ),
      ),
      createdBy: 'winnow',
    }),
  );

const columnOf = (name: string, values: readonly Value[]): ColumnSource => {
  const known = values.filter((value) => value !== undefined);
  const all = (kind: string): boolean => known.length > 0 && known.every((value) => typeof value === kind);
  if (all('number')) return { name, data: values.map((value) => value ?? null), type: 'DOUBLE', nullable: true };
  if (all('boolean')) return { name, data: values.map((value) => value ?? null), type: 'BOOLEAN', nullable: true };
  return {
    name,
    data: values.map((value) => (value === undefined ? null : String(value))),
    type: 'STRING',
    nullable: true,
  };
};
