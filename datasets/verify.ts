/** Hashes the files of a dataset anew and reads every record of them. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { datasetEntry, datasetFolder, readName } from './manifest.js';
import { mismatch, missing } from './open.js';
import type { PulledDataset } from './pull.js';
import { hashFileSync, readPulled } from './pulled.js';
import { damaged } from './record-places.js';
import { openRecords } from './records.js';

/** Files that are not there are `absent`. Throws: ERR_USAGE, ERR_MISSING when none is there, ERR_CHECKSUM, ERR_DATASET_FORMAT. */
export const verifyDataset = (id: string, folder = datasetFolder(id)): PulledDataset => {
  const entry = datasetEntry(id);
  const pulled = readPulled(folder);
  const files = entry.files.map((file): PulledDataset['files'][number] => {
    const path = join(folder, file.name);
    if (!existsSync(path)) return { name: file.name, state: 'absent' };
    const sha256 = hashFileSync(path);
    const expected = file.sha256 ?? pulled[file.name]?.sha256;
    if (expected !== undefined && sha256 !== expected) throw mismatch(id, path, expected, sha256);
    const read = join(folder, readName(file));
    if (!existsSync(read)) throw missing(id, read);
    const made = pulled[readName(file)]?.sha256;
    if (read !== path && made !== undefined && hashFileSync(read) !== made) throw mismatch(id, read, made, 'another');
    const records = openRecords(read, file);
    for (let index = 0; index < records.size; index++) records.record(index);
    if (file.records !== undefined && records.size !== file.records)
      throw damaged(path, `${file.records} records`, records.size);
    const trust = file.sha256 === undefined ? 'first-pull' : 'manifest';
    return { name: file.name, state: 'there', bytes: statSync(path).size, sha256, trust };
  });
  if (files.every(({ state }) => state === 'absent')) throw missing(id, join(folder, entry.files[0]!.name));
  return { id, folder, files };
};
