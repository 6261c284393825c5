/** Records in a file of a test's own, and samples of a task over it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { openDatasets } from '../../datasets/index.js';
import type { Sample, Task } from '../contract.js';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

export interface TaskOrder {
  readonly params?: object;
  readonly length?: number;
  readonly samples?: number;
  readonly maxNewTokens?: number;
  readonly seed?: number;
}

/** Samples of a task over a folder or file, in the file's order, counted in words. */
export const samplesFrom = (
  id: string,
  from: string,
  { params = {}, length = 100_000, samples = 1000, seed = 0, maxNewTokens }: TaskOrder = {},
): Sample[] => {
  const task = findTask(id) as Task;
  const inOrder = 'records' in task.defaults ? { records: 'file' } : {};
  const order = { params: task.parse({ ...inOrder, ...params }), length, samples, seed, meter: wordMeter() };
  const room = maxNewTokens === undefined ? {} : { maxNewTokens };
  return [...task.generate({ ...order, ...room, datasets: openDatasets({ from }) })];
};

/** A folder with these files, records one a line; removed after the tests of the file that asks. */
export const ownFolder = (files: Readonly<Record<string, readonly unknown[] | string>>): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'winnow-records-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    const lines = typeof content === 'string' ? content : content.map((record) => JSON.stringify(record)).join('\n');
    writeFileSync(
      path.join(folder, name),
      name.endsWith('.json') && typeof content !== 'string' ? JSON.stringify(content) : lines,
    );
  }
  return folder;
};
