import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { ATTRIBUTES, type Attribute, COLLECTIONS, DEEDS, TELLING } from '../../datasets/personal-facts.js';
import type { Task } from '../contract.js';
import { ABSTENTION } from '../scorers/abstention.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { datedSessions, sessionWriter } from './dialogue-sessions.js';
import { LAYOUT_FIELDS, type LayoutParams } from './world-layout.js';
import { worldSample } from './world-sample.js';

export interface DialogueParams extends Omit<LayoutParams, 'order'> {
  /** Sessions in which the user tells something else, a thing that is easily taken for the one asked for among them. */
  readonly otherFacts: number;
  /** Of `dialogue_multi_session`: sessions that hold a part of the answer. */
  readonly mentions: number;
  /** Of `dialogue_abstention`: share of the questions that were answered in a session. */
  readonly answerable: number;
}

interface Memory {
  readonly question: string;
  readonly answerPrefix: string;
  readonly references: readonly string[];
  readonly classes?: readonly string[];
  /** What the user tells, in the order of time; what is not evidence was true before. */
  readonly told: readonly { readonly text: string; readonly isEvidence: boolean }[];
  /** What else the user tells. */
  readonly others: readonly string[];
  readonly meta?: Readonly<Record<string, string | boolean>>;
}

/**
 * Memory over many dated sessions between a user and an assistant, in the question types of LongMemEval (arXiv 2410.10813) that can be
 * scored without a judge. What is asked for is told in passing, in turns of the user; the rest of the length is other sessions in the generated
 * prose. Sessions stand in the order of their dates.
 */
const dialogue = (
  id: string,
  description: string,
  scorer: string,
  remember: (params: DialogueParams, random: Random) => Memory,
  chance?: (params: DialogueParams) => number,
): Task<DialogueParams> =>
  defineTask<DialogueParams>({
    id,
    family: 'dialogue',
    description,
    source: { title: 'Winnow', licence: 'Apache-2.0' },
    version: 1,
    scorer,
    maxNewTokens: 24,
    ...(chance === undefined ? {} : { chance }),
    parameters: z.strictObject({
      otherFacts: z.int().min(0).max(8).default(1),
      mentions: z.int().min(2).max(8).default(2),
      answerable: z.number().min(0).max(1).default(0.5),
      context: LAYOUT_FIELDS.context,
      goldDepth: LAYOUT_FIELDS.goldDepth,
      gap: LAYOUT_FIELDS.gap,
    }),
    makeSample: (order) => makeSample(id, remember, order),
  });

const said = (phrases: readonly string[], value: string, random: Random): string =>
  random.pick(phrases).replace('{V}', value);

/** What the user tells of other attributes: of the near one first. */
const otherTellings = (asked: Attribute, count: number, random: Random): string[] => {
  const near = ATTRIBUTES.find(({ id }) => id === asked.near)!;
  const far = random.shuffle(ATTRIBUTES.filter((one) => one !== asked && one !== near));
  return [near, ...far].slice(0, count).map((one) => said(one.says, random.pick(one.values), random));
};

const singleSession = ({ otherFacts }: DialogueParams, random: Random): Memory => {
  const asked = random.pick(ATTRIBUTES);
  const value = random.pick(asked.values);
  return {
    question: asked.question,
    answerPrefix: asked.answer,
    references: [value],
    told: [{ text: said(asked.says, value, random), isEvidence: true }],
    others: otherTellings(asked, otherFacts, random),
    meta: { about: asked.id },
  };
};

const multiSession = ({ otherFacts, mentions }: DialogueParams, random: Random): Memory => {
  const asked = random.pick(COLLECTIONS);
  const [foreign = '', ...own] = random.sample(asked.values, Math.min(mentions + 1, asked.values.length));
  return {
    question: asked.question,
    answerPrefix: asked.answer,
    references: own,
    told: own.map((value) => ({ text: said(asked.says, value, random), isEvidence: true })),
    // Told of somebody else.
    others: [said(asked.others, foreign, random)].slice(0, otherFacts),
    meta: { about: asked.id },
  };
};

const knowledgeUpdate = ({ otherFacts }: DialogueParams, random: Random): Memory => {
  const asked = random.pick(ATTRIBUTES);
  const [before = '', now = ''] = random.sample(asked.values, 2);
  return {
    question: asked.question,
    answerPrefix: asked.answer,
    references: [now],
    classes: [now, before],
    told: [
      { text: said(asked.says, before, random), isEvidence: false },
      { text: said(asked.changes, now, random), isEvidence: true },
    ],
    others: otherTellings(asked, otherFacts, random),
    meta: { about: asked.id },
  };
};

const temporal = ({ otherFacts }: DialogueParams, random: Random): Memory => {
  const [first = '', second = '', ...others] = random.sample(DEEDS, 2 + Math.min(otherFacts, DEEDS.length - 2));
  const tell = (deed: string): string => random.pick(TELLING).replace('{D}', deed);
  const [a, b] = random.shuffle([first, second]);
  return {
    question: `Which did I tell you about first: that I ${a}, or that I ${b}?`,
    answerPrefix: 'What you told me about first is that you',
    references: [first],
    classes: [first, second],
    told: [first, second].map((deed) => ({ text: tell(deed), isEvidence: true })),
    others: others.map(tell),
  };
};

const abstention = ({ otherFacts, answerable }: DialogueParams, random: Random): Memory => {
  const memory = singleSession({ otherFacts: Math.max(1, otherFacts) } as DialogueParams, random);
  const isAnswerable = random.float() < answerable;
  const [near = '', ...others] = memory.others;
  return {
    ...memory,
    ...(isAnswerable ? {} : { references: [ABSTENTION], told: [{ text: near, isEvidence: true }], others }),
    meta: { ...memory.meta, answerable: isAnswerable },
  };
};

export const DIALOGUE_TASKS = [
  dialogue(
    'dialogue_single_session',
    'Something told once, in one of many dated sessions.',
    'substring-match',
    singleSession,
  ),
  dialogue(
    'dialogue_multi_session',
    'Things that were told one by one in several sessions.',
    'fact-recall',
    multiSession,
  ),
  dialogue(
    'dialogue_knowledge_update',
    'What is true now, where something else was told before.',
    'first-named',
    knowledgeUpdate,
  ),
  dialogue('dialogue_temporal', 'Which of two things was told first.', 'first-named', temporal, () => 1 / 2),
  dialogue(
    'dialogue_abstention',
    'Something told or never told, beside what is easily taken for it.',
    'answer-or-abstain',
    abstention,
    // Whoever always abstains.
    ({ answerable }) => 1 - answerable,
  ),
] as const;

const INSTRUCTION = 'These are earlier conversations of a user with an assistant, in the order of their dates.';

const makeSample = (
  id: string,
  remember: (params: DialogueParams, random: Random) => Memory,
  order: SampleOrder<DialogueParams>,
) => {
  const { params, length, seed, index } = order;
  const random = createRandom(seed, id, length, index);
  const memory = remember(params, random);
  const writer = sessionWriter(seed, id, length, index);
  const needed = memory.told.map(({ text, isEvidence }) => {
    const session = writer.write(text);
    return isEvidence ? session : { ...session, evidence: [] };
  });
  const related = memory.others.map((text) => ({ ...writer.write(text), evidence: [] }));
  const hint = id === 'dialogue_abstention' ? ` If the user never told what is asked for, answer: ${ABSTENTION}.` : '';
  return worldSample(
    order,
    id,
    // Time runs forward.
    { ...params, order: 'forward' },
    {
      instruction: `${INSTRUCTION}${hint}\n\n`,
      question: memory.question,
      answerPrefix: memory.answerPrefix,
      references: memory.references,
      ...(memory.classes === undefined ? {} : { classes: memory.classes }),
      needed,
      related,
      filler: writer.filler,
      naming: datedSessions(createRandom(seed, id, 'dates', length, index)),
      meta: { type: id.replace('dialogue_', ''), ...memory.meta },
    },
    random,
  );
};
