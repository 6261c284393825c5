/** What tasks of long generation share: a numbered program, facts hidden in prose, and one line to write for each step. */
import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import type { TextSpan } from '../../methods/contract.js';
import type { Sample, Task } from '../contract.js';
import { defineTask, type MadeSample, type SampleOrder, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import { type Haystack, HaystackParameter, openHaystack } from './haystack.js';
import { DEPTHS } from './insert-needles.js';

export interface ProcedureParams {
  /** Steps of the program: 16 make an answer of about 300 tokens, 512 one of about 8 000. */
  readonly steps: number;
  /** Facts that steps look up. */
  readonly facts: number;
  /** Steps whose lines are given: they show the form. */
  readonly solved: number;
  readonly haystack: Haystack;
}

export interface Procedure {
  /** What to do and how to write it. */
  readonly instruction: string;
  /** One line a step, without its number. */
  readonly program: readonly string[];
  /** Sentences that steps look up, and whether one does. */
  readonly facts: readonly { readonly text: string; readonly isUsed: boolean }[];
  /** What the answer says for each step, without its number. */
  readonly states: readonly string[];
  readonly meta: Sample['meta'];
}

export const procedureParameters = {
  steps: z.int().min(9).max(1024).default(16),
  facts: z.int().min(1).max(24).default(6),
  solved: z.int().min(0).max(8).default(2),
  haystack: HaystackParameter.default('essay'),
} as const;

/**
 * A task whose answer has a line for each step of a program, the first ones given, and is scored by the share of right lines, so that a cache that forgets while
 * it decodes is seen at the step where it does.
 *
 * The program stands first, then prose with the facts. Evidence is every line of the program and every fact that a step looks up.
 * Generation stops when a line after the last step begins. Lines are numbered, so that a lost line costs itself only.
 */
export const procedureTask = <P extends ProcedureParams>(
  facts: Pick<Task<P>, 'id' | 'description' | 'source'> & { readonly parameters: z.ZodType<P> },
  draw: (params: P, random: Random) => Procedure,
): Task<P> =>
  defineTask<P>({
    ...facts,
    family: 'long-generation',
    version: 1,
    scorer: 'right-steps',
    // A fifth more than such an answer takes: room for another spelling, not for another answer.
    answerTokens: (params, meter) =>
      Math.ceil(
        1.2 *
          meter.count(
            answerOf(draw(params, createRandom(facts.id, 'room')).states)
              .slice(params.solved)
              .join('\n'),
          ),
      ) + 16,
    makeSample: (order) =>
      sampleOfProcedure(
        facts.id,
        order,
        draw(order.params, createRandom(order.seed, facts.id, order.length, order.index)),
      ),
  });

export const proceduresSource: Task['source'] = {
  title: 'LongProc: Benchmarking Long-Context Language Models on Long Procedural Generation',
  arxiv: '2501.05414',
  url: 'https://github.com/princeton-pli/LongProc',
  licence: 'generated here (in kind: dispersed facts, long output that follows a procedure, checked line by line)',
};

/** A line of the program and its line of the answer begin alike, so that the number leads from one to the other. */
const answerOf = (states: readonly string[]): string[] => states.map((state, i) => `Step ${i + 1}: ${state}`);

const sampleOfProcedure = (
  id: string,
  order: SampleOrder<ProcedureParams>,
  { instruction, program, facts, states, meta }: Procedure,
): MadeSample => {
  const { params, seed, length, index } = order;
  const answer = answerOf(states);
  const opening = `${instruction}\n\nThe steps:\n`;
  const lines = answerOf(program);
  let at = opening.length;
  const programSpans = lines.map((line): TextSpan => {
    const span = { start: at, end: at + line.length };
    at = span.end + 1;
    return span;
  });
  const depths = createRandom(seed, id, 'depths', length, index).sample(DEPTHS, facts.length);
  const { haystackUnits, evidence, ...prompt } = fillHaystack(id, order, {
    head: `${opening}${lines.join('\n')}\n\nThe notes:\n`,
    units: openHaystack(params.haystack, [seed, id, length, index], order.datasets),
    needles: facts.map(({ text, isUsed }, i) => ({ text, depth: depths[i]!, isEvidence: isUsed })),
    question: `\n\nNow write the lines of all ${program.length} steps, one after the other, and nothing else.`,
    answerPrefix: [...answer.slice(0, params.solved), `Step ${params.solved + 1}:`].join('\n'),
  });
  const references = answer.slice(params.solved);
  return {
    ...sampleOf(
      { ...prompt, evidence: [...programSpans, ...evidence], references },
      { ...meta, steps: program.length, solved: params.solved, haystackUnits },
    ),
    stop: [`Step ${program.length + 1}`, '\n\n\n'],
  };
};
