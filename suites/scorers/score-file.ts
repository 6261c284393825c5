import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import type { ScorerId } from '../contract.js';
import { checkData, formatPath } from '../schema-problem.js';
import { scorerById } from './index.js';

export interface FileScore {
  readonly scorer: ScorerId;
  readonly n: number;
  /** Mean over the lines; in percent, rounded as upstream prints it, where upstream prints percent. */
  readonly score: number;
  /** One per line, 0–1. */
  readonly scores: readonly number[];
}

/** A line may carry more, such as the `length` of LongBench-E. */
const Line = z.looseObject({
  prediction: z.string(),
  references: z.array(z.string()).min(1),
  question: z.string().optional(),
  classes: z.array(z.string()).nullish(),
  length: z.number().optional(),
});

/**
 * Scores JSON lines `{prediction, references, question?, …}`. Empty lines are passed over.
 *
 * Throws ERR_USAGE for an unknown scorer and ERR_DATASET_FORMAT, with `file:line`, for a line that is not what it should be.
 */
export const scoreFile = (scorerId: ScorerId, lines: Iterable<string>, file = 'input'): FileScore => {
  const { score, prints } = scorerById(scorerId);
  const scores: number[] = [];
  let lineNumber = 0;
  for (const line of lines) {
    lineNumber += 1;
    if (line.trim() === '') continue;
    const { prediction, references, question = '', classes } = parseLine(line, `${file}:${lineNumber}`);
    const known = classes === undefined || classes === null ? {} : { classes };
    scores.push(score(prediction, { references, question, meta: {}, ...known }));
  }
  if (scores.length === 0) {
    throw new WinnowError('ERR_DATASET_FORMAT', file, 'at least one line with a prediction', 'none', LINE_FORMAT);
  }
  const mean = scores.reduce((sum, one) => sum + one, 0) / scores.length;
  return { scorer: scorerId, n: scores.length, score: printed(mean, prints), scores };
};

const LINE_FORMAT = 'Write one object a line: {"prediction": "…", "references": ["…"]}.';

const printed = (mean: number, prints: 'percent' | 'percent with 2 decimals' | 'fraction'): number => {
  if (prints === 'fraction') return mean;
  return prints === 'percent' ? mean * 100 : Math.round(mean * 10_000) / 100;
};

const parseLine = (line: string, where: string): z.infer<typeof Line> => {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch {
    throw new WinnowError('ERR_DATASET_FORMAT', where, 'one JSON object', line, LINE_FORMAT);
  }
  const checked = checkData(Line, data);
  if ('value' in checked) return checked.value;
  const { path, expected, actual } = checked.problem;
  throw new WinnowError('ERR_DATASET_FORMAT', `${where} ${formatPath(path)}`.trim(), expected, actual, LINE_FORMAT);
};
