import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { FIRST_NAMES } from '../../datasets/people.js';
import type { Task } from '../contract.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { type Haystack, HaystackParameter, openHaystack } from './haystack.js';
import { DEPTHS, insertNeedles, type Needle } from './insert-needles.js';

export interface RoomFactsParams {
  /** Sentences about people and things, spread over the text in the order in which they happened. */
  readonly facts: number;
  readonly people: number;
  readonly haystack: Haystack;
}

/**
 * Facts about who went where with what, spread over a long text (BABILong, arXiv 2406.10149, over bAbI, arXiv 1502.05698): where a person
 * is (one supporting fact), where a thing is (two or three), where a thing was before it came to a room (three or four).
 *
 * From upstream: rooms, things, fact order kept, the scorer. Ours: people, wording, generated essays around the facts, the depth grid.
 */
const roomFacts = (hops: 1 | 2 | 3, description: string): Task<RoomFactsParams> =>
  defineTask<RoomFactsParams>({
    id: `room_facts_${hops}`,
    family: 'facts',
    description,
    source: {
      title: 'BABILong: Testing the Limits of LLMs with Long Context Reasoning-in-a-Haystack',
      arxiv: '2406.10149',
      url: 'https://github.com/booydar/babilong',
      licence: 'generated here (upstream: Apache-2.0)',
    },
    version: 1,
    chance: () => 1 / ROOMS.length,
    scorer: `babilong/qa${hops}`,
    maxNewTokens: 16,
    parameters: z.strictObject({
      facts: z
        .int()
        .min(3 * hops)
        .max(DEPTHS.length)
        .default(4 + 4 * hops),
      people: z.int().min(1).max(8).default(3),
      haystack: HaystackParameter.default('essay'),
    }),
    makeSample: (order) => makeSample(hops, order),
  });

export const ROOM_FACTS_TASKS = [
  roomFacts(1, 'The room where a person is, from who went where, in essays.'),
  roomFacts(2, 'The room where a thing is, from who went where and took or dropped what, in essays.'),
  roomFacts(3, 'The room where a thing was before it came to another, in essays.'),
] as const;

const ROOMS = ['bathroom', 'bedroom', 'garden', 'hallway', 'kitchen', 'office'] as const;
const THINGS = ['apple', 'football', 'milk'] as const;

const makeSample = (
  hops: 1 | 2 | 3,
  { params, length, maxNewTokens, seed, index, meter, datasets }: SampleOrder<RoomFactsParams>,
) => {
  const id = `room_facts_${hops}`;
  const random = createRandom(seed, id, length, index);
  const story = tellStory(hops, params, random);
  const depths = random.sample(DEPTHS, story.facts.length).sort((a, b) => a - b);
  const needles = story.facts.map(
    (text, i): Needle => ({ text, depth: depths[i]!, isEvidence: story.support.includes(i) }),
  );
  const instruction =
    'The following text tells, among other things, where some people went and what they carried. Later facts replace earlier ones.\n';
  const units = openHaystack(params.haystack, [seed, id, length, index], datasets);
  const build = (count: number) => insertNeedles(instruction, units, count, needles);
  const { question, answerPrefix } = story;
  const count = fitUnits({
    task: id,
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ question, answerPrefix, context: build(n).text }),
    unitTokens: (i) => meter.count(units.separator + units.unit(i)),
  });
  const { text, evidence } = build(count);
  return sampleOf(
    { context: text, question, answerPrefix, references: [story.answer], evidence },
    { facts: params.facts, support: story.support.length, haystackUnits: count },
  );
};

interface Story {
  readonly facts: readonly string[];
  readonly question: string;
  readonly answerPrefix: string;
  readonly answer: string;
  /** Indices of the facts that the answer needs. */
  readonly support: readonly number[];
}

/** Where a thing has been, and the facts that say so; dropping it adds nothing. */
interface Stay {
  readonly room: string;
  readonly support: readonly number[];
}

interface World {
  readonly facts: string[];
  /** Room and the fact that told it, by person. */
  readonly at: Map<string, { room: string; fact: number }>;
  readonly stays: Map<string, Stay[]>;
  /** Person and the fact of the taking, by thing. */
  readonly held: Map<string, { person: string; fact: number }>;
}

/** Draws stories until one has a question of this kind: most have. */
const tellStory = (hops: 1 | 2 | 3, params: RoomFactsParams, random: Random): Story => {
  for (;;) {
    const people = random.sample(FIRST_NAMES, params.people);
    const world: World = { facts: [], at: new Map(), stays: new Map(), held: new Map() };
    while (world.facts.length < params.facts) step(world, people, hops, random);
    const story = ask(hops, world, random);
    if (story !== undefined) return story;
  }
};

const step = (world: World, people: readonly string[], hops: 1 | 2 | 3, random: Random): void => {
  const person = random.pick(people);
  const here = world.at.get(person);
  const fact = world.facts.length;
  if (hops > 1 && here !== undefined && random.float() < 0.45) {
    const thing = random.pick(THINGS);
    const holder = world.held.get(thing);
    if (holder?.person === person) {
      world.held.delete(thing);
      world.facts.push(`${person} ${random.pick(['put down', 'dropped', 'left'])} the ${thing} there.`);
      return;
    }
    const stays = world.stays.get(thing) ?? [];
    // Nobody takes what another one holds or what lies elsewhere.
    if (holder !== undefined || (stays.length > 0 && stays.at(-1)!.room !== here.room)) return;
    world.held.set(thing, { person, fact });
    const stay = { room: here.room, support: [here.fact, fact] };
    world.stays.set(thing, stays.length === 0 ? [stay] : [...stays.slice(0, -1), stay]);
    world.facts.push(`${person} ${random.pick(['picked up', 'took', 'grabbed'])} the ${thing} there.`);
    return;
  }
  const room = random.pick(ROOMS.filter((one) => one !== here?.room));
  world.at.set(person, { room, fact });
  for (const [thing, holder] of world.held) {
    if (holder.person !== person) continue;
    world.stays.set(thing, [...world.stays.get(thing)!, { room, support: [holder.fact, fact] }]);
  }
  world.facts.push(`${person} ${random.pick(['went', 'moved', 'travelled', 'journeyed'])} to the ${room}.`);
};

const ask = (hops: 1 | 2 | 3, world: World, random: Random): Story | undefined => {
  if (hops === 1) {
    const person = random.pick([...world.at.keys()]);
    const { room, fact } = world.at.get(person)!;
    return {
      facts: world.facts,
      question: `\nWhere is ${person} now, according to the text above?`,
      answerPrefix: `${person} is in the`,
      answer: room,
      support: [fact],
    };
  }
  const candidates = THINGS.filter((thing) => {
    const stays = world.stays.get(thing) ?? [];
    if (stays.length < hops) return false;
    // "Before the kitchen" has one answer only if it came there once.
    return hops === 2 || stays.filter(({ room }) => room === stays.at(-1)!.room).length === 1;
  });
  if (candidates.length === 0) return undefined;
  const thing = random.pick(candidates);
  const stays = world.stays.get(thing)!;
  const [before, last] = stays.slice(-2) as [Stay, Stay];
  if (hops === 2) {
    return {
      facts: world.facts,
      question: `\nWhere is the ${thing} now, according to the text above?`,
      answerPrefix: `The ${thing} is in the`,
      answer: last.room,
      support: last.support,
    };
  }
  return {
    facts: world.facts,
    question: `\nWhere was the ${thing} before the ${last.room}, according to the text above?`,
    answerPrefix: `Before the ${last.room}, the ${thing} was in the`,
    answer: before.room,
    support: [...new Set([...before.support, ...last.support])].sort((a, b) => a - b),
  };
};
