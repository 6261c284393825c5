import type { Random } from '../core/random.js';
import { createNames, EVENT_KINDS, ORGANISATION_KINDS, PROFESSIONS } from './world-names.js';
import { COLOUR, PHRASES } from './world-phrases.js';

export type EntityKind = 'person' | 'organisation' | 'town' | 'event';

/** A fact about one subject: its value is another entity, a word or a number. */
export type FactKind =
  | 'profession'
  | 'birthYear'
  | 'birthTown'
  | 'mentor'
  | 'employer'
  | 'kind'
  | 'founded'
  | 'founder'
  | 'director'
  | 'seat'
  | 'river'
  | 'mayor'
  | 'inhabitants'
  | 'year'
  | 'place'
  | 'leader'
  | 'organiser';

export interface Entity {
  readonly kind: EntityKind;
  readonly name: string;
  /** Values as they are written; entities by name. */
  readonly facts: Map<FactKind, string>;
}

export const FACTS_OF: Readonly<Record<EntityKind, readonly FactKind[]>> = {
  person: ['profession', 'birthYear', 'birthTown', 'mentor', 'employer'],
  organisation: ['kind', 'founded', 'founder', 'director', 'seat'],
  town: ['river', 'mayor', 'inhabitants', 'founded'],
  event: ['year', 'place', 'leader', 'organiser'],
};

/** Facts whose value is an entity, and of which kind. */
export const LINKS: Readonly<Partial<Record<FactKind, EntityKind>>> = {
  birthTown: 'town',
  mentor: 'person',
  employer: 'organisation',
  founder: 'person',
  director: 'person',
  seat: 'town',
  mayor: 'person',
  place: 'town',
  leader: 'person',
  organiser: 'organisation',
};

/**
 * A world of invented people, organisations, towns and events: entities are made when they are asked for, and every fact is drawn once,
 * so that all documents agree. Memory grows with what was asked for only. Deterministic in its stream.
 */
export const createWorld = (random: Random) => {
  const names = createNames(random);
  const entities = new Map<string, Entity>();

  const nameOf = (kind: EntityKind, like: string | undefined): { name: string; own?: [FactKind, string] } => {
    switch (kind) {
      case 'person':
        return { name: names.person(like) };
      case 'town':
        return { name: names.town() };
      case 'organisation': {
        const what = random.pick(ORGANISATION_KINDS);
        return { name: names.organisation(what, like), own: ['kind', what] };
      }
      case 'event':
        return { name: names.event(random.pick(EVENT_KINDS), like) };
    }
  };
  /** A new entity; `like` gives it a name that is easily taken for another one's. */
  const make = (kind: EntityKind, like?: string): Entity => {
    const { name, own } = nameOf(kind, like);
    const entity: Entity = { kind, name, facts: new Map(own === undefined ? [] : [own]) };
    entities.set(name, entity);
    return entity;
  };
  const literal = (fact: FactKind): string => {
    switch (fact) {
      case 'profession':
        return random.pick(PROFESSIONS);
      case 'kind':
        return random.pick(ORGANISATION_KINDS);
      case 'river':
        return names.river();
      case 'inhabitants':
        return `${random.integer(2, 98)},${String(random.integer(100, 999))}`;
      default:
        return String(random.integer(1820, 1969));
    }
  };
  /** The value of a fact, drawn when it is first asked for; linked entities are new unless a fact was set. */
  const factOf = (entity: Entity, fact: FactKind): string => {
    const known = entity.facts.get(fact);
    if (known !== undefined) return known;
    const linked = LINKS[fact];
    const value = linked === undefined ? literal(fact) : make(linked).name;
    entity.facts.set(fact, value);
    return value;
  };
  return {
    make,
    factOf,
    entity: (name: string): Entity | undefined => entities.get(name),
    follow: (entity: Entity, fact: FactKind): Entity => entities.get(factOf(entity, fact))!,
  };
};

export type World = ReturnType<typeof createWorld>;

export interface DocumentLine {
  /** A wording of datasets/world-phrases.ts. */
  readonly phrase: string;
  /** Colour has none. */
  readonly fact?: FactKind;
}

export interface WorldDocument {
  readonly about: string;
  readonly text: string;
  /** Where each fact is said, in UTF-16 units of `text`. */
  readonly said: ReadonlyMap<FactKind, { readonly start: number; readonly end: number }>;
  /** What it was written from, in its order. */
  readonly lines: readonly DocumentLine[];
}

export interface Wording {
  /** Facts that the document does not say. */
  readonly omit?: readonly FactKind[];
  /** Facts whose sentences name the subject in full. */
  readonly inFull?: readonly FactKind[];
  /** Wordings and their order, instead of drawn ones. */
  readonly lines?: readonly DocumentLine[];
}

const article = (word: string): string => (/^[aeiou]/.test(word) ? 'an' : 'a');
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** How a document speaks of its subject after the first sentence: the surname, `the museum`, or the name in full. */
const shortNames = (entity: Entity): readonly string[] => {
  switch (entity.kind) {
    case 'person':
      return [entity.name.split(' ').at(-1)!, entity.name];
    case 'organisation':
      return [`the ${entity.facts.get('kind') ?? 'house'}`, entity.name];
    case 'town':
      return [entity.name, 'the town'];
    case 'event':
      return [entity.name, 'the event'];
  }
};

/** Every fact of the kind in random order and wording, colour between them. */
const drawLines = (kind: EntityKind, random: Random): readonly DocumentLine[] => {
  const lines: DocumentLine[] = random
    .shuffle(FACTS_OF[kind])
    .map((fact) => ({ phrase: random.pick(PHRASES[fact]), fact }));
  for (const phrase of random.sample(COLOUR[kind], random.integer(2, 4)))
    lines.splice(random.integer(0, lines.length), 0, { phrase });
  return lines;
};

/** Lines with `share` of them as they are, and the others in another wording of the same fact, or another colour. */
export const varyLines = (
  lines: readonly DocumentLine[],
  kind: EntityKind,
  share: number,
  random: Random,
): readonly DocumentLine[] => {
  const kept = new Set(random.sample(lines, Math.round(share * lines.length)));
  const used = new Set(lines.map(({ phrase }) => phrase));
  return lines.map((line) => {
    if (kept.has(line)) return line;
    const others = (line.fact === undefined ? COLOUR[kind] : PHRASES[line.fact]).filter((phrase) => !used.has(phrase));
    const phrase = random.pick(others);
    used.add(phrase);
    return { ...line, phrase };
  });
};

/** One document about one entity: its facts in random order and wording, colour between them, the name in full in the first sentence. */
export const writeDocument = (
  world: World,
  entity: Entity,
  random: Random,
  { omit = [], inFull = [], lines: given }: Wording = {},
): WorldDocument => {
  const lines = (given ?? drawLines(entity.kind, random)).filter(
    ({ fact }) => fact === undefined || !omit.includes(fact),
  );
  const said = new Map<FactKind, { start: number; end: number }>();
  let text = '';
  lines.forEach(({ phrase, fact }, i) => {
    // "The museum is a museum" would say nothing.
    const isFull = i === 0 || fact === 'kind' || (fact !== undefined && inFull.includes(fact));
    const subject = isFull ? entity.name : random.pick(shortNames(entity));
    const value = fact === undefined ? '' : world.factOf(entity, fact);
    const sentence = capital(
      phrase.replaceAll('{S}', subject).replaceAll('{V}', value).replaceAll('{A}', article(value)),
    );
    if (text !== '') text += random.float() < 0.15 ? '\n' : ' ';
    if (fact !== undefined) said.set(fact, { start: text.length, end: text.length + sentence.length });
    text += sentence;
  });
  return { about: entity.name, text: `${text}\n`, said, lines };
};
