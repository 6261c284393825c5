import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { writeDocument } from '../../datasets/world.js';
import type { Task } from '../contract.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { type CorpusClass, drawClass } from './world-classes.js';
import { LAYOUT_FIELDS, type LayoutParams } from './world-layout.js';
import { bareName } from './world-questions.js';
import { fillersOf, type NeededDocument, worldSample } from './world-sample.js';

export interface GlobalParams extends LayoutParams {
  /** Documents that the question is about; of `global_count` the most, the number is drawn from 1 on. */
  readonly members: number;
  /** Of `global_top_k`: names asked for. */
  readonly k: number;
  /** Documents of the same kind with a name like a member's that the question is not about, for each member. */
  readonly nearMisses: number;
}

interface GlobalQuestion {
  readonly question: string;
  readonly answerPrefix: string;
  readonly references: readonly string[];
  /** Whether the answer follows from which documents are meant, without their numbers. */
  readonly needsNumbers: boolean;
}

/**
 * Questions over a corpus, not a passage, with the four types of GlobalQA (arXiv 2510.26205): counting, extremum, sorting and top-k over
 * documents that share a fact and stand anywhere. Nothing says how many there are; all other documents are of other kinds or share another
 * value. Answers are computed.
 */
const globalTask = (
  id: string,
  description: string,
  scorer: string,
  maxNewTokens: number,
  members: number,
  ask: (corpus: CorpusClass, params: GlobalParams, random: Random) => GlobalQuestion,
  chance?: (params: GlobalParams) => number,
): Task<GlobalParams> =>
  defineTask<GlobalParams>({
    id,
    family: 'global',
    description,
    source: { title: 'Winnow', licence: 'Apache-2.0' },
    version: 1,
    scorer,
    maxNewTokens,
    ...(chance === undefined ? {} : { chance }),
    parameters: z
      .strictObject({
        members: z.int().min(2).max(128).default(members),
        k: z.int().min(1).max(127).default(2),
        nearMisses: z.int().min(0).max(8).default(0),
        ...LAYOUT_FIELDS,
      })
      .refine(({ members: most, k }) => id !== 'global_top_k' || k < most, {
        path: ['k'],
        message: 'fewer than members',
      }),
    makeSample: (order) => makeSample(id, ask, order),
  });

const namesOf = (members: CorpusClass['members']): string[] => members.map(({ name }) => bareName(name));

export const GLOBAL_TASKS = [
  globalTask(
    'global_count',
    'How many documents of a corpus are about what is asked for.',
    'first-number',
    16,
    3,
    ({ phrase, members }) => ({
      question: `How many ${phrase} are there in the documents? Answer with a number.`,
      answerPrefix: `The number of ${phrase} is`,
      references: [String(members.length)],
      needsNumbers: false,
    }),
    // The numbers from 1 on come equally often.
    ({ members }) => 1 / members,
  ),
  globalTask(
    'global_extremum',
    'The first, last, largest or smallest among the documents that are about what is asked for.',
    'substring-match',
    32,
    3,
    ({ phrase, members, scale }, _, random) => {
      const isLeast = random.float() < 0.5;
      return {
        question: `Of the ${phrase}, which one ${(isLeast ? scale.least : scale.most)[0]}?`,
        answerPrefix: `The one that ${(isLeast ? scale.least : scale.most)[0]} is`,
        references: namesOf([members.at(isLeast ? 0 : -1)!]),
        needsNumbers: true,
      };
    },
  ),
  globalTask(
    'global_sort',
    'All names of a kind, in the order of a number that each document gives.',
    'order/kendall',
    96,
    3,
    ({ phrase, members, scale }, _, random) => {
      const isUpwards = random.float() < 0.5;
      return {
        question: `List the ${phrase} ${isUpwards ? scale.upwards : scale.downwards}. Separate the names by commas.`,
        answerPrefix: 'In this order, they are:',
        references: namesOf(isUpwards ? members : [...members].reverse()),
        needsNumbers: true,
      };
    },
    // All names in any order.
    () => 1 / 2,
  ),
  globalTask(
    'global_top_k',
    'The k names of a kind with the least or the most of something.',
    'set-f1',
    64,
    4,
    ({ phrase, members, scale }, { k }, random) => {
      const isLeast = random.float() < 0.5;
      return {
        question: `Of the ${phrase}, name the ${k} that ${(isLeast ? scale.least : scale.most)[1]}. Separate the names by commas.`,
        answerPrefix: `The ${k} that ${(isLeast ? scale.least : scale.most)[1]} are:`,
        references: namesOf(isLeast ? members.slice(0, k) : members.slice(-k).reverse()),
        needsNumbers: true,
      };
    },
    // Every name of the kind.
    ({ k, members }) => (2 * k) / (k + members),
  ),
] as const;

const INSTRUCTION = 'Answer the question at the end from all of the following documents.\n\n';

const makeSample = (id: string, ask: Parameters<typeof globalTask>[5], order: SampleOrder<GlobalParams>) => {
  const { params, length, seed, index } = order;
  const random = createRandom(seed, id, length, index);
  const size = id === 'global_count' ? random.integer(1, params.members) : params.members;
  const corpus = drawClass(size, params.nearMisses, ['person', 'organisation', 'town', 'event'], random);
  const { world, members, outsiders, shared, scale, keepOut } = corpus;
  const { question, answerPrefix, references, needsNumbers } = ask(corpus, params, random);
  const facts = needsNumbers ? [shared, scale.fact] : [shared];
  const needed = members.map((member): NeededDocument => {
    const document = writeDocument(world, member, random, { inFull: facts });
    return { ...document, evidence: facts.map((fact) => document.said.get(fact)!) };
  });
  return worldSample(
    order,
    id,
    params,
    {
      instruction: INSTRUCTION,
      question,
      answerPrefix,
      references,
      classes: namesOf(members),
      needed,
      titlesAreEvidence: true,
      related: outsiders.map((entity) => writeDocument(world, entity, random, { inFull: facts })),
      filler: fillersOf(world, [seed, `${id} others`, length, index], keepOut),
      meta: { members: size },
    },
    random,
  );
};
