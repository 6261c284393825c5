import type { Sample } from '../contract.js';
import type { SampleOrder } from './define-task.js';
import { fitUnits } from './fit-units.js';
import type { HaystackUnits } from './haystack.js';
import { insertNeedles, type Needle } from './insert-needles.js';

export interface Filling extends Pick<Sample, 'question' | 'answerPrefix'> {
  /** Stands before the haystack. */
  readonly head: string;
  readonly units: HaystackUnits;
  readonly needles: readonly Needle[];
}

/** The longest haystack around the needles that leaves room for the answer. Evidence spans are offsets into the context. */
export const fillHaystack = (
  task: string,
  { length, maxNewTokens, meter }: Pick<SampleOrder<object>, 'length' | 'maxNewTokens' | 'meter'>,
  { head, units, needles, question, answerPrefix }: Filling,
) => {
  const build = (count: number) => insertNeedles(head, units, count, needles);
  const haystackUnits = fitUnits({
    task,
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ question, answerPrefix, context: build(n).text }),
    unitTokens: (i) => meter.count(units.separator + units.unit(i)),
  });
  const { text: context, evidence } = build(haystackUnits);
  return { context, question, answerPrefix, evidence, haystackUnits };
};

/** The same haystack, a line for each unit. */
export const byLine = (units: HaystackUnits): HaystackUnits => ({
  separator: '\n',
  unit: (index) => units.unit(index),
});
