import type { ScoredSample, TurnRecord } from '../results/schema.js';
import type { Rescore } from '../results/verify.js';
import { EVIDENCE_SCORER } from './evidence-question.js';
import { scoreSample } from './scorers/index.js';
import { findTask } from './tasks/index.js';

/** The score of a saved output by the scorer of its task, of turns their mean; undefined for a task that this version does not have. */
export const rescore: Rescore = ({ task: id, ask }, record) => {
  const task = findTask(id);
  if (task === undefined) return undefined;
  if (ask === 'evidence') return scoreOf(EVIDENCE_SCORER, record);
  const { turns } = record;
  if (turns === undefined) return scoreOf(task.scorer, record, record.given);
  return turns.reduce((sum, turn) => sum + scoreOf(task.scorer, turn), 0) / turns.length;
};

type Saved = Pick<TurnRecord, 'prediction' | 'references' | 'classes' | 'meta'> & {
  readonly question?: string | undefined;
};

const scoreOf = (
  scorer: string,
  { prediction, references, question = '', classes, meta = {} }: Saved,
  given?: ScoredSample['given'],
): number => {
  const sample = { references, question, meta, ...(classes === undefined ? {} : { classes }) };
  return scoreSample(scorer, sample, prediction, given);
};
