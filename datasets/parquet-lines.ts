/** Reads parquet with a library that trusts what a file says about itself: run it where it may fall over (`parquet.ts`). */
import { closeSync, openSync } from 'node:fs';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { writeAll } from '../core/files.js';
import { onDisk } from '../engine/download.js';
import { damaged, openBytes } from './record-places.js';

/** Rows that are in memory at once. */
const rowsAtOnce = 1_000;

/** Throws: ERR_DATASET_FORMAT, ERR_DISK. Integers of 64 bits become numbers, bytes become text. */
export const writeParquetLines = async (path: string, target: string): Promise<void> => {
  const bytes = openBytes(path);
  const file: AsyncBuffer = {
    byteLength: bytes.length,
    slice(start, end = bytes.length) {
      if (!(start >= 0 && end <= bytes.length && end >= start))
        throw damaged(path, 'pages inside the file', `${start}–${end}`);
      return new Uint8Array(bytes.slice(start, end)).buffer;
    },
  };
  const out = onDisk(target, () => openSync(target, 'w'));
  try {
    const metadata = await parquetMetadataAsync(file);
    checkColumns(path, metadata);
    checkSizes(path, bytes.length, metadata);
    const rows = Number(metadata.num_rows);
    for (let rowStart = 0; rowStart < rows; rowStart += rowsAtOnce) {
      const rowEnd = Math.min(rows, rowStart + rowsAtOnce);
      const objects = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd });
      if (objects.length !== rowEnd - rowStart) throw damaged(path, `${rowEnd - rowStart} rows`, objects.length);
      const lines = objects.map((row) => `${JSON.stringify(row, jsonValue)}\n`).join('');
      onDisk(target, () => writeAll(out, Buffer.from(lines)));
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'WinnowError') throw error;
    throw damaged(path, 'a parquet file', (error as Error).message);
  } finally {
    closeSync(out);
  }
};

/** The library finds a column without a place in the schema only after it began to read others, whose errors nobody takes then. */
const checkColumns = (path: string, metadata: FileMetaData): void => {
  const schema = parquetSchema(metadata);
  for (const { columns } of metadata.row_groups) {
    for (const { meta_data: column } of columns) {
      let place: typeof schema | undefined = column === undefined ? undefined : schema;
      for (const name of column?.path_in_schema ?? [])
        place = place?.children.find(({ element }) => element.name === name);
      if (place === undefined || place === schema)
        throw damaged(path, 'columns of its schema', (column?.path_in_schema ?? []).join('.'));
    }
  }
};

/** What a damaged file says about itself must not decide how much memory is taken. */
const checkSizes = (path: string, size: number, { row_groups: groups, num_rows: rows }: FileMetaData): void => {
  let counted = 0n;
  for (const group of groups) {
    counted += group.num_rows;
    for (const { meta_data } of group.columns) {
      const column = meta_data!;
      const end = Number(column.data_page_offset) + Number(column.total_compressed_size);
      if (column.total_compressed_size < 0n || Number(column.dictionary_page_offset ?? 0n) > size || end > 2 * size)
        throw damaged(path, `columns inside ${size} bytes`, `a column that ends at ${end}`);
      if (column.num_values < 0n || column.num_values > mostValues)
        throw damaged(path, `columns of at most ${mostValues} values`, String(column.num_values));
      if (Number(column.total_uncompressed_size) > mostColumnBytes)
        throw damaged(path, `columns of at most ${mostColumnBytes} bytes`, String(column.total_uncompressed_size));
    }
  }
  if (counted !== rows) throw damaged(path, `${rows} rows in its groups`, String(counted));
};

const mostColumnBytes = 2 ** 31;
const mostValues = 2 ** 26;

const jsonValue = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);
