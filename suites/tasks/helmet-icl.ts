import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import type { Task } from '../contract.js';
import { defineTask } from './define-task.js';
import { fitDocuments, type PoolDocument } from './fit-documents.js';
import { helmetSource } from './helmet.js';
import { ICL_SETS, type IclSet, type LabelledText } from './helmet-icl-sets.js';

export interface HelmetIclParams {
  /** Labels as numbers in an order that is drawn for every question, so that only the examples tell what they mean; or by their names. */
  readonly labels: 'numbers' | 'names';
  /** Most examples; the length decides where they are more. */
  readonly shots: number;
}

/**
 * Classification by examples: rounds in which each class stands once, in shuffled order, until the length is full. Evidence: the examples
 * of the right class.
 *
 * Recipe and prompt of upstream; the draws are our own, so that single samples differ. Upstream fixes the number of examples for a length
 * (400 to 7,050), here the length itself does.
 */
const iclTask = (name: string, set: IclSet): Task<HelmetIclParams> =>
  defineTask<HelmetIclParams>({
    id: `helmet_${name}`,
    family: 'helmet',
    description: set.description,
    source: helmetSource,
    version: 1,
    scorer: 'helmet/icl',
    maxNewTokens: 20,
    datasets: [...new Set(set.files)],
    parameters: z.strictObject({
      labels: z.enum(['numbers', 'names']).default('numbers'),
      shots: z.int().min(1).max(10_000).default(10_000),
    }),
    size: ({ datasets }) => set.test(datasets).length,
    makeSample(order) {
      const { params, seed, index, datasets } = order;
      const train = set.train(datasets);
      const asked = createRandom(seed, name, 'questions').shuffle(set.test(datasets))[index]!;
      const random = createRandom(seed, name, asked.text);
      const classes = [...new Set(train.map(({ label }) => label))].sort();
      const shown = params.labels === 'names' ? classes : random.shuffle(classes.map((_, i) => String(i)));
      const labels = new Map(classes.map((label, i) => [label, shown[i]!]));
      // A prompt of `length` tokens holds fewer examples than a fifth of that: a text, its label and what stands around them.
      const most = Math.min(params.shots, Math.ceil(order.length / 5));
      const examples = balanced(train, classes, most, random);
      return fitDocuments(
        { ...order, task: `helmet_${name}` },
        {
          before:
            'Use the provided mapping from the text to label to assign a label to the text. Only output "label: {label}" and nothing else. \n\n',
          pool: {
            separator: '\n\n',
            documents: examples.map(({ text, label }): PoolDocument => {
              const written = `${text}\nlabel: ${labels.get(label)}`;
              const evidence = label === asked.label ? [{ start: 0, end: written.length }] : [];
              return { isNeeded: false, write: (number) => ({ text: written, id: `Example ${number}`, evidence }) };
            }),
          },
          question: `\n\n${asked.text}\n`,
          answerPrefix: 'label:',
          references: [labels.get(asked.label) ?? asked.label],
          classes: shown,
          stop: ['\n'],
          meta: { classes: classes.length, class: asked.label },
        },
      );
    },
  });

/** `count` examples in rounds: each round holds one of every class, in an order of its own; none comes twice before all of its class came. */
const balanced = (
  train: readonly LabelledText[],
  classes: readonly string[],
  count: number,
  random: Random,
): LabelledText[] => {
  const rounds = Math.ceil(count / classes.length);
  const byClass = new Map<string, LabelledText[]>(classes.map((label) => [label, []]));
  for (const example of train) byClass.get(example.label)!.push(example);
  const columns = classes.map((label) => {
    const examples = byClass.get(label)!;
    const column: LabelledText[] = [];
    while (column.length < rounds)
      column.push(...random.sample(examples, Math.min(examples.length, rounds - column.length)));
    return column;
  });
  return Array.from({ length: rounds }, (_, round) => random.shuffle(columns.map((column) => column[round]!)))
    .flat()
    .slice(0, count);
};

export const HELMET_ICL_TASKS = Object.entries(ICL_SETS).map(([name, set]) => iclTask(name, set));
