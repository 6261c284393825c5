import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import type { OpenDataset } from '../../datasets/index.js';
import { datasetEntry } from '../../datasets/index.js';
import type { Task } from '../contract.js';
import { type BabiQuestion, babiQuestions } from './babi-stories.js';
import { BABILONG_WORDING } from './babilong-wording.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { type Haystack, HaystackParameter, type HaystackUnits, haystackDatasets, openHaystack } from './haystack.js';
import { insertNeedles, type Needle } from './insert-needles.js';
import { openIfThere, RECORDS_FIELDS, type RecordsParams, recordIndex } from './set-records.js';

export interface BabilongParams extends RecordsParams {
  /** `auto`: the dataset `books` where it was pulled, generated essays otherwise; `meta.haystack` of a sample says which. */
  readonly haystack: Haystack | 'auto';
}

const FILES = [
  'qa1_single-supporting-fact',
  'qa2_two-supporting-facts',
  'qa3_three-supporting-facts',
  'qa4_two-arg-relations',
  'qa5_three-arg-relations',
  'qa6_yes-no-questions',
  'qa7_counting',
  'qa8_lists-sets',
  'qa9_simple-negation',
  'qa10_indefinite-knowledge',
  'qa11_basic-coreference',
  'qa12_conjunction',
  'qa13_compound-coreference',
  'qa14_time-reasoning',
  'qa15_basic-deduction',
  'qa16_basic-induction',
  'qa17_positional-reasoning',
  'qa18_size-reasoning',
  'qa19_path-finding',
  'qa20_agents-motivations',
] as const;

/**
 * BABILong (arXiv 2406.10149) over the bAbI tasks themselves: the facts of one question, in their order, at independent places among the
 * sentences of books.
 *
 * From upstream: one question a sample, at most length / 8 facts, sentences of at least 10 tokens, places drawn uniformly and sorted, the
 * scorer. Ours: books from the public domain instead of PG-19, their sentences cut by a rule instead of Punkt, whole sentences only, the
 * length counted with the model's tokenizer and for the whole prompt, wording without examples.
 */
const babilong = (number: number): Task<BabilongParams> => {
  const id = `babilong_qa${number}`;
  const name = `${FILES[number - 1]!}_test.txt`;
  return defineTask<BabilongParams>({
    id,
    family: 'facts',
    description: `bAbI task ${number} (${FILES[number - 1]!.replace(/^qa\d+_/, '').replaceAll('-', ' ')}) spread over the text of books.`,
    source: {
      title: 'BABILong: Testing the Limits of LLMs with Long Context Reasoning-in-a-Haystack',
      arxiv: '2406.10149',
      url: 'https://github.com/booydar/babilong',
      licence: 'Apache-2.0; bAbI CC BY 3.0',
    },
    version: 1,
    scorer: `babilong/qa${number}`,
    datasets: [`babi/${name}`],
    datasetsOf: ({ haystack }) => (haystack === 'auto' ? { wanted: ['books'] } : haystackDatasets(haystack)),
    maxNewTokens: 20,
    parameters: z.strictObject({
      haystack: z.union([z.literal('auto'), HaystackParameter]).default('auto'),
      ...RECORDS_FIELDS,
    }),
    size: ({ datasets }) => datasets('babi', name).derived(babiQuestions).length,
    makeSample: (order) => makeSample(id, number, order.datasets('babi', name).derived(babiQuestions), order),
  });
};

export const BABILONG_TASKS = FILES.map((_, i) => babilong(i + 1));

const makeSample = (id: string, number: number, all: readonly BabiQuestion[], order: SampleOrder<BabilongParams>) => {
  const { params, length, maxNewTokens, seed, index, meter, datasets } = order;
  const random = createRandom(seed, id, length, index);
  const story = chooseStory(all, order);
  const haystack = params.haystack === 'auto' ? autoHaystack(datasets) : params.haystack;
  const units = longSentences(openHaystack(haystack, [seed, id, length, index], datasets), meter.count);
  const places = story.facts.map(() => random.float()).sort((a, b) => a - b);
  const needlesIn = (count: number): Needle[] =>
    story.facts.map((text, i) => ({
      text,
      // The place between units that insertNeedles makes of it is ⌊share · (count + 1)⌋.
      depth: count === 0 ? 0 : (100 * (Math.floor(places[i]! * (count + 1)) + 1e-6)) / count,
      isEvidence: story.support.includes(i),
    }));
  const { instruction, form } = BABILONG_WORDING[number - 1]!;
  const head = `${instruction} ${form}\n\n`;
  const prompt = { question: `\n\nQuestion: ${story.question}`, answerPrefix: 'Answer:' };
  const build = (count: number) => insertNeedles(head, units, count, needlesIn(count));
  const count = fitUnits({
    task: id,
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ ...prompt, context: build(n).text }),
    unitTokens: (i) => meter.count(units.separator + units.unit(i)),
  });
  const { text, evidence } = build(count);
  return sampleOf(
    { context: text, ...prompt, references: [story.answer], evidence },
    {
      facts: story.facts.length,
      support: story.support.length,
      haystackUnits: count,
      haystack: typeof haystack === 'string' ? haystack : 'dataset' in haystack ? haystack.dataset : 'file',
    },
  );
};

/** Questions with more facts than fit comfortably are left out, as upstream does. */
const chooseStory = (
  all: readonly BabiQuestion[],
  { params, length, seed, index }: SampleOrder<BabilongParams>,
): BabiQuestion => {
  const most = Math.floor(length / 8);
  const first = recordIndex(params, all.length, seed, index);
  for (let step = 0; step < all.length; step++) {
    const story = all[(first + step) % all.length]!;
    if (story.facts.length <= most) return story;
  }
  return all[first]!;
};

const autoHaystack = (datasets: OpenDataset): Haystack => {
  const isThere = datasetEntry('books').files.every(({ name }) => openIfThere(datasets, 'books', name) !== undefined);
  return isThere ? { dataset: 'books' } : 'essay';
};

const shortestSentence = 10;

const longSentences = (units: HaystackUnits, count: (text: string) => number): HaystackUnits => {
  const long: string[] = [];
  let next = 0;
  return {
    separator: units.separator,
    unit(index) {
      while (long.length <= index) {
        const sentence = units.unit(next++);
        // A haystack of short sentences only would never end.
        if (count(sentence) >= shortestSentence || next > 100 * (long.length + 1)) long.push(sentence);
      }
      return long[index]!;
    },
  };
};
