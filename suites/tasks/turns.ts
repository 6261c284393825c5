/** What tasks of several questions over one context share. */
import { z } from 'zod';
import type { Sample, SampleTurn, TokenMeter } from '../contract.js';
import type { MadeSample } from './define-task.js';

export interface TurnsParams {
  /** Questions over one context, the first included. */
  readonly turns: number;
  /** What a later question sees of those before it: nothing, their right answers, or what was answered. */
  readonly history: 'none' | 'gold' | 'answer';
}

export const TURNS_FIELDS = {
  turns: z.int().min(2).max(20).default(5),
  history: z.enum(['none', 'gold', 'answer']).default('gold'),
};

/** What one question has of its own. */
export type Asked = Pick<Sample, 'question' | 'answerPrefix' | 'references' | 'evidence' | 'meta'>;

/** Tokens that must stay free behind the first question, so that every turn has room for its answer. */
export const roomForTurns = (
  meter: TokenMeter,
  asked: readonly Pick<Asked, 'question' | 'answerPrefix' | 'references'>[],
  { history }: Pick<TurnsParams, 'history'>,
  maxNewTokens: number,
): number => {
  // The template's start stands in for what it puts between an answer and the next question.
  const costs = asked.map(({ question, answerPrefix }) => meter.countPrompt({ context: '', question, answerPrefix }));
  const [first = 0, ...later] = costs;
  if (history === 'none') return maxNewTokens + Math.max(0, ...later.map((cost) => cost - first));
  const answers = asked.map(({ references }) => Math.max(maxNewTokens, meter.count(` ${references[0] ?? ''}`)));
  return answers.reduce((sum, tokens) => sum + tokens, 0) + later.reduce((sum, cost) => sum + cost, 0);
};

/** A sample of its first question, with the others as turns. At least two. */
export const sampleOfTurns = (
  {
    context,
    maxNewTokens,
    ...prompt
  }: Pick<Sample, 'context' | 'maxNewTokens'> & Partial<Pick<Sample, 'documents' | 'documentIds'>>,
  asked: readonly Asked[],
  { history }: Pick<TurnsParams, 'history'>,
): MadeSample => {
  const [first, ...later] = asked as readonly [Asked, ...Asked[]];
  return {
    ...{ context, documents: [], stop: [], ...prompt, ...first },
    meta: { ...first.meta, turns: asked.length, history },
    turns: later.map((one): SampleTurn => ({ ...one, maxNewTokens, stop: [] })),
    ...(history === 'none' ? {} : { turnsContinue: history }),
  };
};
