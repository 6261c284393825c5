import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { createWorld, type Entity, type FactKind, type World, writeDocument } from '../../datasets/world.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { LAYOUT_FIELDS, type LayoutParams } from './world-layout.js';
import { bareName } from './world-questions.js';
import { fillersOf, type NeededDocument, worldSample } from './world-sample.js';

export interface KeyFactsParams extends LayoutParams {
  /** Facts that the summary has to hold. */
  readonly facts: number;
  /** Documents about namesakes. */
  readonly nearMisses: number;
}

/** A fact about a person: from the person's own document, or from that of something that names the person. */
interface Source {
  /** Completes "Say …". */
  readonly aspect: string;
  readonly fact: FactKind;
  /** Kind of the other document; the key string is then what that document is about. */
  readonly told?: 'organisation' | 'event' | 'town';
}

const SOURCES: readonly Source[] = [
  { aspect: 'the place of birth', fact: 'birthTown' },
  { aspect: 'the employer', fact: 'employer' },
  { aspect: 'the mentor', fact: 'mentor' },
  { aspect: 'what the person founded', fact: 'founder', told: 'organisation' },
  { aspect: 'what the person directs', fact: 'director', told: 'organisation' },
  { aspect: 'which event the person led', fact: 'leader', told: 'event' },
  { aspect: 'where the person is mayor', fact: 'mayor', told: 'town' },
];

/**
 * Query-focused summary: what the documents say about one person on the points asked for, scored by the share of the key facts whose name the
 * answer holds. Each fact is one sentence of evidence and is told once; some stand in the person's own document and some in documents about
 * other things that name the person. What else the answer says is not scored.
 */
export const keyFacts = defineTask<KeyFactsParams>({
  id: 'key_facts',
  family: 'world',
  description: 'A summary of what documents say about one person, scored by the key facts in it.',
  source: { title: 'Winnow', licence: 'Apache-2.0' },
  version: 1,
  scorer: 'fact-recall',
  maxNewTokens: 128,
  parameters: z.strictObject({
    facts: z.int().min(1).max(SOURCES.length).default(3),
    nearMisses: z.int().min(0).max(8).default(1),
    ...LAYOUT_FIELDS,
  }),
  makeSample,
});

const INSTRUCTION = 'The following documents are needed for a short summary.\n\n';

function makeSample(order: SampleOrder<KeyFactsParams>) {
  const { params, length, seed, index } = order;
  const random = createRandom(seed, 'key_facts', length, index);
  const world = createWorld(random);
  const person = world.make('person');
  const wanted = random.sample(SOURCES, params.facts);
  const own = wanted.filter(({ told }) => told === undefined).map(({ fact }) => fact);
  const elsewhere = wanted.flatMap(({ fact, told }) => (told === undefined ? [] : [{ fact, told }]));
  const holders = elsewhere.map(({ fact, told }) => {
    const entity = world.make(told);
    entity.facts.set(fact, person.name);
    return { entity, fact };
  });
  const needed = [
    evidenceOf(world, person, own, random),
    ...holders.map(({ entity, fact }) => evidenceOf(world, entity, [fact], random)),
  ];
  const keys = [...own.map((fact) => world.factOf(person, fact)), ...holders.map(({ entity }) => entity.name)];
  const namesakes = Array.from({ length: params.nearMisses }, () =>
    writeDocument(world, world.make('person', person.name), random),
  );
  return worldSample(
    order,
    'key_facts',
    params,
    {
      instruction: INSTRUCTION,
      question: `Summarise what the documents say about ${person.name}. Mention ${listed(wanted.map(({ aspect }) => aspect))}, by name.`,
      answerPrefix: `Summary: ${person.name}`,
      references: keys.map(bareName),
      needed,
      related: namesakes,
      filler: fillersOf(world, [seed, 'key_facts others', length, index]),
      meta: { facts: params.facts },
    },
    random,
  );
}

const evidenceOf = (world: World, entity: Entity, facts: readonly FactKind[], random: Random): NeededDocument => {
  const document = writeDocument(world, entity, random, { inFull: facts });
  return { ...document, evidence: facts.map((fact) => document.said.get(fact)!) };
};

const listed = (items: readonly string[]): string =>
  items.length === 1 ? items[0]! : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
