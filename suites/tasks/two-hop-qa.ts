import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { CITIES, FIRST_NAMES, SURNAMES } from '../../datasets/people.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { type Haystack, HaystackParameter, openHaystack } from './haystack.js';
import { DEPTHS, insertNeedles, type Needle } from './insert-needles.js';

export interface TwoHopParams {
  /** Chains of two facts in the text; one is asked for. */
  readonly people: number;
  /** Whether the answer prefix names the bridge, so that one hop is left to the model. */
  readonly answerPrefixNamesBridge: boolean;
  readonly haystack: Haystack;
}

/** `person`'s mentor is `bridge`, who lives in `city`. */
export interface Chain {
  readonly person: string;
  readonly bridge: string;
  readonly city: string;
}

/**
 * Two-hop question answering over a generated world: "The mentor of A is B." and "B lives in C." stand apart in essays, and the answer
 * is C. The other chains are near misses: each shares a first name or a surname with the person asked for and with the bridge.
 *
 * Every name, bridge and city occurs in one chain only, so exactly one city answers the question.
 */
export const twoHopQa = defineTask<TwoHopParams>({
  id: 'two_hop_qa',
  family: 'multi-hop',
  description: 'The city of a person named only as the mentor of another, among near misses, in essays.',
  source: { title: 'Winnow', licence: 'Apache-2.0' },
  version: 1,
  scorer: 'substring-match',
  maxNewTokens: 32,
  parameters: z.strictObject({
    people: z
      .int()
      .min(1)
      .max(DEPTHS.length / 2)
      .default(3),
    answerPrefixNamesBridge: z.boolean().default(true),
    haystack: HaystackParameter.default('essay'),
  }),
  makeSample,
});

function makeSample({ params, length, maxNewTokens, seed, index, meter, datasets }: SampleOrder<TwoHopParams>) {
  const random = createRandom(seed, 'two_hop_qa', length, index);
  const chains = makeChains(params.people, random);
  const asked = chains[0]!;
  const depths = random.sample(DEPTHS, chains.length * 2);
  const needles = chains.flatMap(({ person, bridge, city }, i): Needle[] => [
    { text: `The mentor of ${person} is ${bridge}.`, depth: depths[2 * i]!, isEvidence: i === 0 },
    { text: `${bridge} lives in ${city}.`, depth: depths[2 * i + 1]!, isEvidence: i === 0 },
  ]);
  const wording = {
    question: `\nIn which city does the mentor of ${asked.person} live, according to the text above?`,
    answerPrefix: params.answerPrefixNamesBridge
      ? `The mentor of ${asked.person} is ${asked.bridge}, who lives in`
      : `The mentor of ${asked.person} lives in`,
  };
  const instruction =
    'The following text tells who the mentors of some people are and where some people live. Remember it.\n';
  const units = openHaystack(params.haystack, [seed, 'two_hop_qa', length, index], datasets);
  const build = (count: number) => insertNeedles(instruction, units, count, needles);
  const count = fitUnits({
    task: 'two_hop_qa',
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ ...wording, context: build(n).text }),
    unitTokens: (i) => meter.count(units.separator + units.unit(i)),
  });
  const { text, evidence } = build(count);
  return {
    context: text,
    documents: [],
    ...wording,
    references: [asked.city],
    evidence,
    stop: [],
    meta: { people: params.people, bridgeFirst: depths[0]! < depths[1]!, haystackUnits: count },
  };
}

/** The chain asked for, then near misses: odd ones share its first names, even ones its surnames. */
export const makeChains = (count: number, random: Random): Chain[] => {
  const firstNames = random.sample(FIRST_NAMES, count * 2 + 2);
  const surnames = random.sample(SURNAMES, count * 2 + 2);
  const cities = random.sample(CITIES, count);
  const nameOf = (role: 0 | 1, i: number): string => {
    const first = i % 2 === 1 ? firstNames[role]! : firstNames[2 * i + role]!;
    const last = i > 0 && i % 2 === 0 ? surnames[role]! : surnames[2 * i + role]!;
    return `${first} ${last}`;
  };
  return cities.map((city, i) => ({ person: nameOf(0, i), bridge: nameOf(1, i), city }));
};
