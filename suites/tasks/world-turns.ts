import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import { createWorld, type FactKind, type WorldDocument, writeDocument } from '../../datasets/world.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { type Asked, roomForTurns, sampleOfTurns, TURNS_FIELDS, type TurnsParams } from './turns.js';
import { bridgeQuestion } from './world-questions.js';
import { fillersOf, type NeededDocument, worldSample } from './world-sample.js';

export interface WorldTurnsParams extends TurnsParams {
  /** Facts that each question follows. */
  readonly hops: number;
  /** Documents about namesakes for every document that is needed. */
  readonly nearMisses: number;
}

/**
 * Several questions over the documents of one generated world, each about others of them: SCBench's shared context (arXiv 2412.10319) with
 * exact evidence for every turn.
 */
export const worldTurns = defineTask<WorldTurnsParams>({
  id: 'world_turns',
  family: 'multi-turn',
  description: 'Facts from the documents of one generated world, one question after the other.',
  source: { title: 'Winnow', licence: 'Apache-2.0' },
  version: 2,
  scorer: 'substring-match',
  maxNewTokens: 24,
  parameters: z.strictObject({
    hops: z.int().min(1).max(3).default(1),
    nearMisses: z.int().min(0).max(8).default(0),
    ...TURNS_FIELDS,
    turns: z.int().min(2).max(20).default(4),
  }),
  makeSample,
});

const LAYOUT = { context: 'full', order: 'random', gap: 0 } as const;

function makeSample(order: SampleOrder<WorldTurnsParams>) {
  const { params, length, maxNewTokens, seed, index, meter } = order;
  const random = createRandom(seed, 'world_turns', length, index);
  const world = createWorld(random);
  const questions = Array.from({ length: params.turns }, () =>
    bridgeQuestion(params.hops, params.nearMisses, random, world),
  );
  const written = new Map<string, WorldDocument>();
  for (const { needs } of questions)
    for (const { entity } of needs)
      if (!written.has(entity.name)) written.set(entity.name, writeDocument(world, entity, random));
  const related = questions
    .flatMap(({ decoys }) => decoys)
    .filter(({ entity }) => !written.has(entity.name))
    .map(({ entity }) => writeDocument(world, entity, random));
  const wordings = questions.map(({ question, answerPrefix, answer }) => ({
    question: `\nQuestion: ${question}`,
    answerPrefix,
    references: [answer],
  }));
  const { context, documents, documentIds, meta } = worldSample(
    { length, index, meter, maxNewTokens: roomForTurns(meter, wordings, params, maxNewTokens) },
    'world_turns',
    LAYOUT,
    {
      instruction: 'Answer the questions at the end from the following documents.\n\n',
      question: questions[0]!.question,
      answerPrefix: wordings[0]!.answerPrefix,
      references: wordings[0]!.references,
      needed: [...written.values()].map((document): NeededDocument => ({ ...document, evidence: [] })),
      related,
      filler: fillersOf(world, [seed, 'world_turns others', length, index]),
      meta: { hops: params.hops },
    },
    random,
  );
  const said = (name: string, fact: FactKind) => {
    const document = written.get(name)!;
    const at = context.indexOf(document.text);
    const { start, end } = document.said.get(fact)!;
    return { start: at + start, end: at + end };
  };
  const asked = wordings.map((wording, turn): Asked => {
    const evidence = questions[turn]!.needs.map(({ entity, fact }) => said(entity.name, fact));
    return { ...wording, evidence: evidence.sort((a, b) => a.start - b.start), meta: turn === 0 ? meta : {} };
  });
  return sampleOfTurns(
    { context, maxNewTokens, documents, ...(documentIds === undefined ? {} : { documentIds }) },
    asked,
    params,
  );
}
