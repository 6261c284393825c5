/** Questions over the generated world: what is asked, what answers it, and which facts are needed. */
import type { Random } from '../../core/random.js';
import {
  createWorld,
  type Entity,
  type EntityKind,
  FACTS_OF,
  type FactKind,
  LINKS,
  type World,
} from '../../datasets/world.js';

export interface WorldQuestion {
  readonly world: World;
  readonly question: string;
  /** The beginning of a sentence that the answer ends: it repeats the question and no more. */
  readonly answerPrefix: string;
  readonly answer: string;
  /** Names that the question offers, the answer among them. */
  readonly candidates?: readonly string[];
  /** Facts that the answer needs, in the order in which they are followed. */
  readonly needs: readonly { readonly entity: Entity; readonly fact: FactKind }[];
  /** Whose documents stand beside those of `needs` and mislead: near names, or half of what is asked for. */
  readonly decoys: readonly Decoy[];
}

export interface Decoy {
  readonly entity: Entity;
  /** The entity that it is taken for. */
  readonly of: Entity;
  /** Facts in which the two must differ. */
  readonly differIn: readonly FactKind[];
}

const namesakes = (world: World, of: Entity, differIn: readonly FactKind[], count: number): Decoy[] =>
  Array.from({ length: count }, () => ({ entity: world.make(of.kind, of.name), of, differIn }));

const THE: Readonly<Partial<Record<FactKind, string>>> = {
  birthTown: 'the birthplace of',
  mentor: 'the mentor of',
  employer: 'the employer of',
  founder: 'the founder of',
  director: 'the director of',
  seat: 'the town that is home to',
  river: 'the river that runs through',
  mayor: 'the mayor of',
  place: 'the town that hosted',
  leader: 'the leader of',
  organiser: 'the organiser of',
};

const ASK: Readonly<Partial<Record<FactKind, (of: string) => string>>> = {
  birthTown: (of) => `In which town was ${of} born?`,
  mentor: (of) => `Who was the mentor of ${of}?`,
  employer: (of) => `For whom did ${of} work?`,
  founder: (of) => `Who founded ${of}?`,
  director: (of) => `Who is the director of ${of}?`,
  seat: (of) => `In which town is ${of} based?`,
  river: (of) => `On which river does ${of} lie?`,
  mayor: (of) => `Who is the mayor of ${of}?`,
  place: (of) => `Which town hosted ${of}?`,
  leader: (of) => `Who led ${of}?`,
  organiser: (of) => `Who organised ${of}?`,
};

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Without the article, which an answer may leave out. */
export const bareName = (name: string): string => name.replace(/^the /, '');

/** A chain of `hops` facts, each about the value of the one before; every entity on it has namesakes with documents of their own. */
export const bridgeQuestion = (
  hops: number,
  nearMisses: number,
  random: Random,
  world: World = createWorld(random),
): WorldQuestion => {
  for (;;) {
    const start = world.make(random.pick(['person', 'organisation', 'event'] as const));
    const path = drawPath(start.kind, hops, random);
    if (path === undefined) continue;
    const needs: { entity: Entity; fact: FactKind }[] = [];
    let entity = start;
    let phrase = start.name;
    path.forEach((fact, i) => {
      needs.push({ entity, fact });
      if (i === path.length - 1) return;
      phrase = `${THE[fact]!} ${phrase}`;
      entity = world.follow(entity, fact);
    });
    const last = path.at(-1)!;
    const decoys = needs.flatMap(({ entity, fact }) => namesakes(world, entity, [fact], nearMisses));
    return {
      world,
      question: ASK[last]!(phrase),
      answerPrefix: capital(`${THE[last]!} ${phrase} is`),
      answer: bareName(world.factOf(entity, last)),
      needs,
      decoys,
    };
  }
};

const drawPath = (kind: EntityKind, hops: number, random: Random): FactKind[] | undefined => {
  const path: FactKind[] = [];
  let at: EntityKind | undefined = kind;
  for (let hop = 0; hop < hops; hop++) {
    if (at === undefined) return undefined;
    const facts: FactKind[] = FACTS_OF[at].filter((fact) =>
      hop === hops - 1 ? ASK[fact] !== undefined : fact in LINKS,
    );
    if (facts.length === 0) return undefined;
    const fact: FactKind = random.pick(facts);
    path.push(fact);
    at = LINKS[fact];
  }
  return path;
};

const YEARS = {
  person: { fact: 'birthYear', asks: 'Who was born earlier', answers: 'The one who was born earlier is' },
  organisation: { fact: 'founded', asks: 'Which was founded earlier', answers: 'The one that was founded earlier is' },
  event: { fact: 'year', asks: 'Which took place earlier', answers: 'The one that took place earlier is' },
} as const;

/** Two of a kind, told apart by a year. */
export const comparisonQuestion = (nearMisses: number, random: Random): WorldQuestion => {
  const world = createWorld(random);
  const kind = random.pick(['person', 'organisation', 'event'] as const);
  const { fact, asks, answers } = YEARS[kind];
  const pair = [world.make(kind), world.make(kind)] as const;
  while (world.factOf(pair[0], fact) === world.factOf(pair[1], fact)) pair[1].facts.delete(fact);
  const earlier = Number(world.factOf(pair[0], fact)) < Number(world.factOf(pair[1], fact)) ? pair[0] : pair[1];
  return {
    world,
    question: `${asks}, ${pair[0].name} or ${pair[1].name}?`,
    answerPrefix: answers,
    answer: bareName(earlier.name),
    candidates: pair.map(({ name }) => bareName(name)),
    needs: pair.map((entity) => ({ entity, fact })),
    decoys: pair.flatMap((entity) => namesakes(world, entity, [fact], nearMisses)),
  };
};

/** The one person of whom two things are true, among people of whom one is. */
export const intersectionQuestion = (nearMisses: number, random: Random): WorldQuestion => {
  const world = createWorld(random);
  const person = world.make('person');
  const town = world.factOf(person, 'birthTown');
  const employer = world.factOf(person, 'employer');
  const decoys = Array.from({ length: Math.max(1, nearMisses) }, (_, i): Decoy => {
    const entity = world.make('person');
    if (i % 2 === 0) entity.facts.set('birthTown', town);
    else entity.facts.set('employer', employer);
    return { entity, of: person, differIn: ['birthTown', 'employer'] };
  });
  return {
    world,
    question: `Who was born in ${town} and worked for ${employer}?`,
    answerPrefix: `The one who was born in ${town} and worked for ${employer} is`,
    answer: person.name,
    needs: [
      { entity: person, fact: 'birthTown' },
      { entity: person, fact: 'employer' },
    ],
    decoys,
  };
};
