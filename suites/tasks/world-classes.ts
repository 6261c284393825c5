/** What questions over a whole corpus are about: entities that share a fact, told apart by a number. */
import type { Random } from '../../core/random.js';
import { createWorld, type Entity, type EntityKind, type FactKind, type World } from '../../datasets/world.js';

/** How a question speaks of the numbers of a kind. */
interface Scale {
  readonly fact: FactKind;
  /** Completes "Which of them …?" and "Name the 2 of them that …", for the least and the most. */
  readonly least: readonly [one: string, several: string];
  readonly most: readonly [one: string, several: string];
  /** Completes "List them …". */
  readonly upwards: string;
  readonly downwards: string;
}

const SCALES: Readonly<Record<EntityKind, Scale>> = {
  person: {
    fact: 'birthYear',
    least: ['was born first', 'were born first'],
    most: ['was born last', 'were born last'],
    upwards: 'in the order of their birth, the earliest first',
    downwards: 'in the order of their birth, the latest first',
  },
  organisation: {
    fact: 'founded',
    least: ['was founded first', 'were founded first'],
    most: ['was founded last', 'were founded last'],
    upwards: 'in the order in which they were founded, the earliest first',
    downwards: 'in the order in which they were founded, the latest first',
  },
  town: {
    fact: 'inhabitants',
    least: ['has the fewest inhabitants', 'have the fewest inhabitants'],
    most: ['has the most inhabitants', 'have the most inhabitants'],
    upwards: 'by their inhabitants, the smallest first',
    downwards: 'by their inhabitants, the largest first',
  },
  event: {
    fact: 'year',
    least: ['took place first', 'took place first'],
    most: ['took place last', 'took place last'],
    upwards: 'in the order in which they took place, the earliest first',
    downwards: 'in the order in which they took place, the latest first',
  },
};

/** Facts that many may share, and how a question names those who do. */
const SHARED: readonly {
  readonly kind: EntityKind;
  readonly fact: FactKind;
  readonly phrase: (value: string) => string;
}[] = [
  { kind: 'person', fact: 'birthTown', phrase: (value) => `people who were born in ${value}` },
  { kind: 'person', fact: 'employer', phrase: (value) => `people who worked for ${value}` },
  {
    kind: 'person',
    fact: 'profession',
    phrase: (value) => `people whose trade was that of ${article(value)} ${value}`,
  },
  { kind: 'organisation', fact: 'seat', phrase: (value) => `organisations that are based in ${value}` },
  { kind: 'town', fact: 'river', phrase: (value) => `towns that lie on the ${value}` },
  { kind: 'event', fact: 'place', phrase: (value) => `events that were held in ${value}` },
  { kind: 'event', fact: 'organiser', phrase: (value) => `events that were organised by ${value}` },
];

const article = (word: string): string => (/^[aeiou]/.test(word) ? 'an' : 'a');

export interface CorpusClass {
  readonly world: World;
  readonly kind: EntityKind;
  /** The fact that its members share. */
  readonly shared: FactKind;
  /** The fact that tells them apart. */
  readonly scale: Scale;
  /** "people who were born in Calford". */
  readonly phrase: string;
  /** From the least to the most; no two are equal. */
  readonly members: readonly Entity[];
  /** Of the kind, with a name like a member's, and outside of the class. */
  readonly outsiders: readonly Entity[];
  /** Keeps any other entity out of the class. */
  keepOut(entity: Entity): void;
}

/** A class of `size` members, and `outsiders` entities for each that are easily taken for it. */
export const drawClass = (
  size: number,
  outsiders: number,
  kinds: readonly EntityKind[],
  random: Random,
): CorpusClass => {
  const world = createWorld(random);
  const { kind, fact: shared, phrase } = random.pick(SHARED.filter((one) => kinds.includes(one.kind)));
  const scale = SCALES[kind];
  const first = world.make(kind);
  const value = world.factOf(first, shared);
  const numbers = new Set<number>();
  const members = Array.from({ length: size }, (_, i) => {
    const entity = i === 0 ? first : world.make(kind);
    entity.facts.set(shared, value);
    while (numbers.has(numberOf(world, entity, scale.fact))) entity.facts.delete(scale.fact);
    numbers.add(numberOf(world, entity, scale.fact));
    return entity;
  });
  const keepOut = (entity: Entity): void => {
    if (entity.kind !== kind) return;
    while (world.factOf(entity, shared) === value) entity.facts.delete(shared);
  };
  const near = members.flatMap((member) =>
    Array.from({ length: outsiders }, () => {
      const entity = world.make(kind, member.name);
      keepOut(entity);
      return entity;
    }),
  );
  members.sort((a, b) => numberOf(world, a, scale.fact) - numberOf(world, b, scale.fact));
  return { world, kind, shared, scale, phrase: phrase(value), members, outsiders: near, keepOut };
};

/** A number as it is written in documents, as a number. */
export const numberOf = (world: World, entity: Entity, fact: FactKind): number =>
  Number(world.factOf(entity, fact).replaceAll(',', ''));
