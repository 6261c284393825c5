import { createRandom } from '../../core/random.js';
import type { OpenDataset } from '../../datasets/index.js';
import { normaliseAnswer } from '../scorers/normalise.js';

/**
 * HELMET (arXiv 2410.02694, princeton-nlp/HELMET at 4526dfbdc512, data.py and configs/; MIT licence, copyright Princeton Natural Language
 * Processing): its prompts word for word and its answer lengths. What holds for all of its tasks here: examples before the question are
 * drawn by our own stream, stable for a question as upstream's are; texts are cut to length with the model's own tokenizer, not Llama 2's.
 */
export const helmetSource = {
  title: 'HELMET: how to evaluate long-context language models effectively and thoroughly',
  arxiv: '2410.02694',
  url: 'https://github.com/princeton-nlp/HELMET',
  licence: 'MIT; data of their own licences',
} as const;

/** `count` different records of a file of examples that `accepts` takes, the same for the same `key`; fewer when there are not enough. */
export const drawExamples = <R>(
  datasets: OpenDataset,
  {
    dataset,
    file,
    key,
    count,
  }: { readonly dataset: string; readonly file: string; readonly key: string; readonly count: number },
  read: (data: unknown, where: string) => R | undefined,
): R[] => {
  if (count === 0) return [];
  const source = datasets(dataset, file);
  const random = createRandom('helmet', file, key);
  const seen = new Set<number>();
  const examples: R[] = [];
  while (examples.length < count && seen.size < source.size) {
    const index = random.integer(0, source.size - 1);
    if (seen.has(index)) continue;
    seen.add(index);
    const example = read(source.record(index), source.where(index));
    if (example !== undefined) examples.push(example);
  }
  return examples;
};

/** Whether a text holds one of the answers as words of its own, both normalised. Yes and no are said nowhere. */
export const holdsAnswer = (text: string, answers: readonly string[]): boolean => {
  const words = ` ${normaliseAnswer(text)} `;
  return answers.some((answer) => {
    const wanted = normaliseAnswer(answer);
    return wanted !== '' && wanted !== 'yes' && wanted !== 'no' && words.includes(` ${wanted} `);
  });
};
