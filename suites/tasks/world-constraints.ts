import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { type Entity, type EntityKind, type World, writeDocument } from '../../datasets/world.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { type CorpusClass, drawClass, numberOf } from './world-classes.js';
import { LAYOUT_FIELDS, type LayoutParams } from './world-layout.js';
import { bareName } from './world-questions.js';
import { fillersOf, type NeededDocument, worldSample } from './world-sample.js';

export interface ConstraintParams extends LayoutParams {
  /** Documents that the list is chosen from. */
  readonly members: number;
  /** Constraints that a name must satisfy, of different types. */
  readonly constraints: 1 | 2;
  /** Documents of the same kind with a name like a member's that are not among them, for each member. */
  readonly nearMisses: number;
}

/** The types of KITAB that invented names and numbers bear. */
type ConstraintType = 'starts-with' | 'ends-with' | 'word-count' | 'number';

interface Constraint {
  readonly type: ConstraintType;
  /** Begins with "whose". */
  readonly phrase: string;
  holds(entity: Entity): boolean;
}

/**
 * Lists under constraints, as in KITAB with context (arXiv 2310.15511): from entities that share a fact, those whose name or number
 * satisfies one or two constraints. Scored by F1; the classes of a sample are all names, so that `kitab/…` scorers can tell names that
 * satisfy the constraints, names from the context that do not, and names from elsewhere.
 */
export const worldConstraints = defineTask<ConstraintParams>({
  id: 'world_constraints',
  family: 'global',
  description: 'All names of a kind that satisfy constraints on their letters, words, years or numbers.',
  source: { title: 'Winnow', licence: 'Apache-2.0' },
  version: 2,
  scorer: 'set-f1',
  maxNewTokens: 64,
  chance,
  parameters: z.strictObject({
    members: z.int().min(2).max(128).default(4),
    constraints: z.union([z.literal(1), z.literal(2)]).default(1),
    nearMisses: z.int().min(0).max(8).default(0),
    ...LAYOUT_FIELDS,
  }),
  makeSample,
});

const KINDS: readonly EntityKind[] = ['person', 'organisation', 'town', 'event'];
const INSTRUCTION = 'Answer the question at the end from all of the following documents.\n\n';

function makeSample(order: SampleOrder<ConstraintParams>) {
  const { params, length, seed, index } = order;
  const random = createRandom(seed, 'world_constraints', length, index);
  const corpus = drawClass(params.members, params.nearMisses, KINDS, random);
  const { world, members, outsiders, shared, scale, phrase, keepOut } = corpus;
  const { constraints, satisfying } = drawConstraints(corpus, params.constraints, random);
  const facts = constraints.some(({ type }) => type === 'number') ? [shared, scale.fact] : [shared];
  const needed = members.map((member): NeededDocument => {
    const document = writeDocument(world, member, random, { inFull: facts });
    return { ...document, evidence: facts.map((fact) => document.said.get(fact)!) };
  });
  const names = (entities: readonly Entity[]): string[] => entities.map(({ name }) => bareName(name));
  return worldSample(
    order,
    'world_constraints',
    params,
    {
      instruction: INSTRUCTION,
      question: `Of the ${phrase}, list all ${constraints.map((one) => one.phrase).join(' and ')}. Separate the names by commas.`,
      answerPrefix: 'They are:',
      references: names(satisfying),
      classes: names(members),
      needed,
      titlesAreEvidence: true,
      related: outsiders.map((entity) => writeDocument(world, entity, random, { inFull: facts })),
      filler: fillersOf(world, [seed, 'world_constraints others', length, index], keepOut),
      meta: {
        members: members.length,
        constraints: constraints.map(({ type }) => type).join('+'),
        // KITAB's kappa: how much of the candidates the constraints exclude.
        constrainedness: 1 - satisfying.length / members.length,
      },
    },
    random,
  );
}

/** Mean F1 of naming every candidate, over draws of the same kind as the samples: how many satisfy follows from names and numbers. */
function chance({ members, constraints }: ConstraintParams): number {
  const draws = 100;
  let sum = 0;
  for (let draw = 0; draw < draws; draw++) {
    const random = createRandom(0, 'world_constraints chance', draw);
    const corpus = drawClass(members, 0, KINDS, random);
    const { satisfying } = drawConstraints(corpus, constraints, random);
    sum += (2 * satisfying.length) / (satisfying.length + members);
  }
  return sum / draws;
}

/** Constraints of different types that at least one member satisfies and one does not, whether there are one or two. */
const drawConstraints = ({ world, kind, members, scale }: CorpusClass, count: number, random: Random) => {
  const types: readonly ConstraintType[] =
    kind === 'organisation' || kind === 'event'
      ? ['starts-with', 'ends-with', 'word-count', 'number']
      : ['starts-with', 'ends-with', 'number'];
  for (;;) {
    const pivot = random.pick(members);
    const constraints = random
      .sample(types, count)
      .map((type) => makeConstraint(type, world, kind, scale.fact, pivot, random));
    const satisfying = members.filter((member) => constraints.every(({ holds }) => holds(member)));
    if (satisfying.length > 0 && satisfying.length < members.length) return { constraints, satisfying };
  }
};

const NUMBER_OF: Readonly<Record<EntityKind, string>> = {
  person: 'year of birth',
  organisation: 'founding year',
  town: 'number of inhabitants',
  event: 'year',
};

/** A constraint that the pivot satisfies, of whom the others may or may not. */
const makeConstraint = (
  type: ConstraintType,
  world: World,
  kind: EntityKind,
  fact: CorpusClass['scale']['fact'],
  pivot: Entity,
  random: Random,
): Constraint => {
  const called = kind === 'person' ? 'surname' : 'name';
  const nameOf = ({ name }: Entity): string => (kind === 'person' ? name.split(' ').at(-1)! : bareName(name));
  switch (type) {
    case 'starts-with': {
      const letter = nameOf(pivot).charAt(0);
      const holds = (entity: Entity): boolean => nameOf(entity).startsWith(letter);
      return { type, phrase: `whose ${called} begins with the letter ${letter}`, holds };
    }
    case 'ends-with': {
      const letter = nameOf(pivot).slice(-1);
      const holds = (entity: Entity): boolean => nameOf(entity).endsWith(letter);
      return { type, phrase: `whose ${called} ends with the letter ${letter.toUpperCase()}`, holds };
    }
    case 'word-count': {
      const words = (entity: Entity): number => nameOf(entity).split(' ').length;
      const wanted = words(pivot);
      const article = 'not counting the article';
      return {
        type,
        phrase: `whose name has ${wanted} words, ${article},`,
        holds: (entity) => words(entity) === wanted,
      };
    }
    case 'number': {
      const isBelow = random.float() < 0.5;
      const distance = (isBelow ? 1 : -1) * random.integer(1, kind === 'town' ? 5000 : 20);
      // No town has fewer than no inhabitants.
      const limit = Math.max(1, numberOf(world, pivot, fact) + distance);
      const written = kind === 'town' ? limit.toLocaleString('en-US') : String(limit);
      const number = (entity: Entity): number => numberOf(world, entity, fact);
      return {
        type,
        phrase: `whose ${NUMBER_OF[kind]} is ${isBelow ? 'below' : 'above'} ${written}`,
        holds: (entity) => (isBelow ? number(entity) < limit : number(entity) > limit),
      };
    }
  }
};
