import type { Rescore } from '../results/verify.js';
import { scoreSample } from './scorers/index.js';
import { findTask } from './tasks/index.js';

/** The score of a saved output by the scorer of its task; undefined for a task that this version does not have. */
export const rescore: Rescore = (
  { task: id },
  { prediction, references, question = '', classes, meta = {}, given },
) => {
  const task = findTask(id);
  if (task === undefined) return undefined;
  const sample = { references, question, meta, ...(classes === undefined ? {} : { classes }) };
  return scoreSample(task.scorer, sample, prediction, given);
};
