import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { type FactKind, varyLines, type WorldDocument, writeDocument } from '../../datasets/world.js';
import type { Task } from '../contract.js';
import { ABSTENTION } from '../scorers/abstention.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { LAYOUT_FIELDS, type LayoutParams } from './world-layout.js';
import {
  bridgeQuestion,
  comparisonQuestion,
  type Decoy,
  intersectionQuestion,
  type WorldQuestion,
} from './world-questions.js';
import { fillersOf, type NeededDocument, worldSample } from './world-sample.js';

export interface WorldParams extends LayoutParams {
  /** Documents about namesakes for every document that is needed; of `world_intersection`, people of whom half is true. */
  readonly nearMisses: number;
  /** Share of the sentences that such a document has in common with the one that it is taken for; 1 leaves the name and the fact asked for. */
  readonly similarity: number;
  /** Share of the questions that the documents answer; the others lack one document, or one sentence of it. Below 1 the instruction says what to answer then. */
  readonly answerable: number;
  /** Leaves out the document of the first or the last step, whose answer still counts: what is left shows what a model guesses. */
  readonly masked: 'none' | 'first' | 'last';
}

const parametersWith = (answerable: number) =>
  z.strictObject({
    nearMisses: z.int().min(0).max(64).default(1),
    similarity: z.number().min(0).max(1).default(0),
    answerable: z.number().min(0).max(1).default(answerable),
    masked: z.enum(['none', 'first', 'last']).default('none'),
    ...LAYOUT_FIELDS,
  });

/**
 * Question answering over a generated world of people, organisations, towns and events, told in one document each: no model has seen it,
 * evidence is exact, and every question has one answer. Near-miss documents are about namesakes, as in EverMemBench-S (arXiv 2601.20276);
 * orders of the needed documents follow the study of multi-hop prompts of arXiv 2505.11754; the rest of the length is filled with documents
 * about others.
 */
const worldQa = (
  id: string,
  description: string,
  ask: (params: WorldParams, random: Random) => WorldQuestion,
  { scorer = 'answer-or-abstain', answerable = 1 }: { scorer?: keyof typeof GUESSED; answerable?: number } = {},
): Task<WorldParams> =>
  defineTask<WorldParams>({
    id,
    family: 'world',
    description,
    source: { title: 'Winnow', licence: 'Apache-2.0' },
    version: 2,
    scorer,
    maxNewTokens: 32,
    parameters: parametersWith(answerable),
    // The same reply to every question: whether there is an answer, one of two names where two are compared, or that there is none.
    chance: (params) => Math.max(params.answerable * GUESSED[scorer], 1 - params.answerable),
    makeSample: (order) => makeSample(id, ask, order),
  });

/** By scorer, the share of the questions with an answer that one reply to all of them gets right. */
const GUESSED = { 'answer-or-abstain': 0, 'first-named-or-abstain': 1 / 2, abstention: 1 } as const;

const hops = (count: number) => (params: WorldParams, random: Random) =>
  bridgeQuestion(count, params.nearMisses, random);

export const WORLD_TASKS = [
  worldQa('world_1_hop', 'One fact from one document of a generated world.', hops(1)),
  worldQa('world_2_hop', 'Two facts from two documents, the second about what the first names.', hops(2)),
  worldQa('world_3_hop', 'Three facts from three documents, one after the other.', hops(3)),
  worldQa('world_4_hop', 'Four facts from four documents, one after the other.', hops(4)),
  worldQa(
    'world_comparison',
    'Which of two came earlier, from the document of each.',
    ({ nearMisses }, random) => comparisonQuestion(nearMisses, random),
    { scorer: 'first-named-or-abstain' },
  ),
  worldQa('world_intersection', 'The one person of whom two things are true.', ({ nearMisses }, random) =>
    intersectionQuestion(nearMisses, random),
  ),
  worldQa('world_abstention', 'Whether the documents say a fact at all, among documents about namesakes.', hops(1), {
    scorer: 'abstention',
    answerable: 0.5,
  }),
] as const;

const INSTRUCTION = 'Answer the question at the end from the following documents.';

const makeSample = (
  id: string,
  ask: (params: WorldParams, random: Random) => WorldQuestion,
  order: SampleOrder<WorldParams>,
) => {
  const { params, length, seed, index } = order;
  const random = createRandom(seed, id, length, index);
  const { world, question, answerPrefix, answer, candidates, needs, decoys } = ask(params, random);
  const isAnswerable = random.float() < params.answerable;
  const lacking = isAnswerable ? undefined : { step: random.integer(0, needs.length - 1), whole: random.float() < 0.5 };

  const written = new Map<string, WorldDocument>();
  const factsOf = new Map<string, FactKind[]>();
  for (const { entity, fact } of needs) {
    factsOf.set(entity.name, [...(factsOf.get(entity.name) ?? []), fact]);
  }
  // What is needed names its subject in full, and so do the sentences that are taken for it: evidence is enough by itself.
  for (const { entity } of needs) {
    if (written.has(entity.name)) continue;
    written.set(entity.name, writeDocument(world, entity, random, { inFull: factsOf.get(entity.name)! }));
  }
  const absent = lacking === undefined ? undefined : needs[lacking.step]!;
  const related = decoys.map((decoy): NeededDocument => {
    const document = nearMiss(world, decoy, written.get(decoy.of.name)!, params.similarity, random);
    // Whoever abstains has seen what is left of the reasoning, and that its next step is told of others only.
    const isMistakable = absent !== undefined && decoy.of === absent.entity;
    return { ...document, evidence: isMistakable ? [document.said.get(absent.fact)!] : [] };
  });
  const masked = params.masked === 'none' ? undefined : needs.at(params.masked === 'first' ? 0 : -1)!;
  const needed = [...written.values()].flatMap((document): NeededDocument[] => {
    if (document.about === masked?.entity.name) return [];
    const facts = factsOf.get(document.about)!;
    const said = ({ said }: WorldDocument, but?: FactKind) =>
      facts.filter((fact) => fact !== but).map((fact) => said.get(fact)!);
    if (document.about !== absent?.entity.name) return [{ ...document, evidence: said(document) }];
    if (lacking?.whole === true) return [];
    const { lines } = document;
    const cut = writeDocument(world, absent.entity, random, { lines, omit: [absent.fact], inFull: facts });
    return [{ ...cut, evidence: said(cut, absent.fact) }];
  });
  const hint = params.answerable < 1 ? ` If they do not say it, answer: ${ABSTENTION}.` : '';
  return worldSample(
    order,
    id,
    params,
    {
      instruction: `${INSTRUCTION}${hint}\n\n`,
      question,
      answerPrefix,
      references: [isAnswerable ? answer : ABSTENTION],
      ...(candidates === undefined ? {} : { classes: candidates }),
      needed,
      related,
      filler: fillersOf(world, [seed, `${id} others`, length, index]),
      meta: {
        hops: needs.length,
        ...(params.answerable < 1 ? { answerable: isAnswerable } : {}),
        ...(lacking === undefined ? {} : { lacks: lacking.whole ? 'document' : 'fact' }),
        ...(masked === undefined ? {} : { masked: params.masked }),
      },
    },
    random,
  );
};

/** A document that repeats a share of the sentences of the one that it is taken for, facts included but for those in which they differ. */
const nearMiss = (
  world: WorldQuestion['world'],
  { entity, of, differIn }: Decoy,
  original: WorldDocument,
  similarity: number,
  random: Random,
): WorldDocument => {
  if (similarity === 0) return writeDocument(world, entity, random, { inFull: differIn });
  const lines = varyLines(original.lines, entity.kind, similarity, random);
  lines.forEach((line, i) => {
    const { fact } = line;
    const isShared = line === original.lines[i] && fact !== undefined && fact !== 'kind' && !differIn.includes(fact);
    if (isShared && !entity.facts.has(fact)) entity.facts.set(fact, world.factOf(of, fact));
  });
  return writeDocument(world, entity, random, { lines, inFull: differIn });
};
