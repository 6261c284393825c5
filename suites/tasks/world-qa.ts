import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { type EntityKind, type WorldDocument, writeDocument } from '../../datasets/world.js';
import type { TextSpan } from '../../methods/contract.js';
import type { Task } from '../contract.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { bridgeQuestion, comparisonQuestion, intersectionQuestion, type WorldQuestion } from './world-questions.js';

export interface WorldParams {
  /** Documents about namesakes for every document that is needed; of `world_intersection`, people of whom half is true. */
  readonly nearMisses: number;
}

/**
 * Question answering over a generated world of people, organisations, towns and events, told in one document each: no model has seen it,
 * evidence is exact, and every question has one answer. Near-miss documents are about namesakes, as in EverMemBench-S (arXiv 2601.20276);
 * the rest of the length is filled with documents about others.
 */
const worldQa = (
  id: string,
  description: string,
  ask: (params: WorldParams, random: Random) => WorldQuestion,
): Task<WorldParams> =>
  defineTask<WorldParams>({
    id,
    family: 'world',
    description,
    source: { title: 'Winnow', licence: 'Apache-2.0' },
    version: 1,
    scorer: id === 'world_comparison' ? 'first-named' : 'substring-match',
    maxNewTokens: 32,
    parameters: z.strictObject({ nearMisses: z.int().min(0).max(8).default(1) }),
    makeSample: (order) => makeSample(id, ask, order),
  });

const hops = (count: number) => (params: WorldParams, random: Random) =>
  bridgeQuestion(count, params.nearMisses, random);

export const WORLD_TASKS = [
  worldQa('world_1_hop', 'One fact from one document of a generated world.', hops(1)),
  worldQa('world_2_hop', 'Two facts from two documents, the second about what the first names.', hops(2)),
  worldQa('world_3_hop', 'Three facts from three documents, one after the other.', hops(3)),
  worldQa('world_4_hop', 'Four facts from four documents, one after the other.', hops(4)),
  worldQa('world_comparison', 'Which of two came earlier, from the document of each.', ({ nearMisses }, random) =>
    comparisonQuestion(nearMisses, random),
  ),
  worldQa('world_intersection', 'The one person of whom two things are true.', ({ nearMisses }, random) =>
    intersectionQuestion(nearMisses, random),
  ),
] as const;

const KINDS: readonly EntityKind[] = ['person', 'organisation', 'town', 'event'];
const INSTRUCTION = 'Answer the question at the end from the following documents.\n\n';
const ANSWER_PREFIX = 'Answer:';

const makeSample = (
  id: string,
  ask: (params: WorldParams, random: Random) => WorldQuestion,
  { params, length, maxNewTokens, seed, index, meter }: SampleOrder<WorldParams>,
) => {
  const random = createRandom(seed, id, length, index);
  const { world, question: asked, answer, candidates, needs, decoys } = ask(params, random);
  const wanted = [...new Set(needs.map(({ entity }) => entity))];
  const important = random
    .shuffle([...wanted, ...decoys])
    .map((entity): Placed => ({ ...writeDocument(world, entity, random), depth: random.float() }));
  const others = fillers(world, createRandom(seed, `${id} others`, length, index));

  const question = `\nQuestion: ${asked}`;
  const build = (count: number) =>
    assemble(
      important,
      Array.from({ length: count }, (_, i) => others(i)),
    );
  const count = fitUnits({
    task: id,
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ context: build(n).text, question, answerPrefix: ANSWER_PREFIX }),
    unitTokens: (i) => meter.count(`${heading(100, others(i).about)}${others(i).text}\n`),
  });
  const { text, documents, starts } = build(count);
  const evidence = needs
    .map(({ entity, fact }): TextSpan => {
      const document = important.find(({ about }) => about === entity.name)!;
      const at = starts.get(entity.name)!;
      const { start, end } = document.said.get(fact)!;
      return { start: at + start, end: at + end };
    })
    .sort((a, b) => a.start - b.start);
  return {
    context: text,
    documents,
    question,
    answerPrefix: ANSWER_PREFIX,
    references: [answer],
    ...(candidates === undefined ? {} : { classes: candidates }),
    evidence,
    stop: [],
    meta: { hops: needs.length, documents: documents.length, haystackUnits: count },
  };
};

type Placed = WorldDocument & {
  /** Share of the other documents before it. */
  readonly depth: number;
};

/** Documents about entities of no importance, as many as are asked for. */
const fillers = (world: WorldQuestion['world'], random: Random): ((index: number) => WorldDocument) => {
  const made: WorldDocument[] = [];
  return (index) => {
    while (made.length <= index) made.push(writeDocument(world, world.make(random.pick(KINDS)), random));
    return made[index]!;
  };
};

const heading = (number: number, about: string): string =>
  `Document ${number}: ${about.charAt(0).toUpperCase()}${about.slice(1)}\n`;

const assemble = (important: readonly Placed[], others: readonly WorldDocument[]) => {
  const order = [
    ...others.map((document, i) => ({ document, place: (i + 0.5) / others.length })),
    ...important.map((document) => ({ document: document as WorldDocument, place: document.depth })),
  ].sort((a, b) => a.place - b.place);
  const documents: TextSpan[] = [];
  const starts = new Map<string, number>();
  let text = INSTRUCTION;
  order.forEach(({ document }, i) => {
    const start = text.length;
    text += heading(i + 1, document.about);
    starts.set(document.about, text.length);
    text += document.text;
    documents.push({ start, end: text.length });
    text += '\n';
  });
  return { text, documents, starts };
};
