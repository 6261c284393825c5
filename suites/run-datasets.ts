/** Which datasets a suite reads, and which bytes they have: part of what decides a result. */
import { datasetEntry, openDatasets } from '../datasets/index.js';
import { pullDataset } from '../datasets/pull.js';
import type { OnProgress } from '../engine/download.js';
import type { ResolvedSuite } from './contract.js';
import { findTask } from './tasks/index.js';
import { openIfThere } from './tasks/set-records.js';

/** One file that samples of a run are made from. */
export interface RunDataset {
  readonly dataset: string;
  readonly file: string;
  readonly sha256: string;
  readonly trust: 'manifest' | 'first-pull' | 'own-file';
}

type SuiteTask = Pick<ResolvedSuite['tasks'][number], 'id' | 'params'>;

/** Names are `id` or `id/file`. */
const namesOf = ({ id, params }: SuiteTask) => {
  const task = findTask(id);
  const { needed = [], wanted = [] } = task?.datasetsOf?.(task.parse(params)) ?? {};
  return { needed: [...(task?.datasets ?? []), ...needed], wanted };
};

const filesOf = (name: string): { readonly id: string; readonly file: string }[] => {
  const [id = '', file] = name.split('/');
  return datasetEntry(id).files.flatMap(({ name: one }) =>
    file === undefined || file === one ? [{ id, file: one }] : [],
  );
};

/** Fetches what the tasks cannot do without and is not in the cache. Throws: ERR_USAGE (a licence), and what pulling throws. */
export const fetchDatasets = async (tasks: readonly SuiteTask[], onProgress: OnProgress): Promise<void> => {
  const open = openDatasets();
  const files = tasks.flatMap((task) => namesOf(task).needed.flatMap(filesOf));
  const missing = files.filter(({ id, file }) => openIfThere(open, id, file) === undefined);
  for (const id of new Set(missing.map((one) => one.id))) await pullDataset(id, { onProgress });
};

/** The files that a task would read now: those that it needs and those that it wants, as far as they are in the cache. */
export const datasetsOfTask = (task: SuiteTask, open = openDatasets()): RunDataset[] => {
  const { needed, wanted } = namesOf(task);
  const found = [...needed, ...wanted].flatMap(filesOf).flatMap(({ id, file }) => openIfThere(open, id, file) ?? []);
  return [...new Set(found)].map(({ dataset, name, sha256, trust }) => ({ dataset, file: name, sha256, trust }));
};

/** What of a task's cells depends on data: another file, another cell. */
export const datasetIdentity = (datasets: readonly RunDataset[]): Record<string, string> =>
  Object.fromEntries(datasets.map(({ dataset, file, sha256 }) => [`${dataset}/${file}`, sha256]));

/** Datasets that the tasks need and that are not in the cache. */
export const missingDatasets = (tasks: readonly SuiteTask[]): string[] => {
  const open = openDatasets();
  const files = tasks.flatMap((task) => namesOf(task).needed.flatMap(filesOf));
  return [...new Set(files.filter(({ id, file }) => openIfThere(open, id, file) === undefined).map(({ id }) => id))];
};

/** Datasets that are not in the cache and that tasks would read if they were; without them these tasks make their text themselves. */
export const unpulledExtras = (
  tasks: readonly (SuiteTask & { readonly name: string })[],
): { readonly id: string; readonly tasks: readonly string[] }[] => {
  const open = openDatasets();
  const lacking = new Map<string, string[]>();
  for (const task of tasks)
    for (const { id, file } of namesOf(task).wanted.flatMap(filesOf))
      if (openIfThere(open, id, file) === undefined)
        lacking.set(id, [...(lacking.get(id) ?? []).filter((name) => name !== task.name), task.name]);
  return [...lacking].map(([id, names]) => ({ id, tasks: names }));
};
