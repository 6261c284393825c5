import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import { FIRST_NAMES } from '../../datasets/people.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import { type Haystack, HaystackParameter, openHaystack } from './haystack.js';
import { DEPTHS, type Needle } from './insert-needles.js';

const KINDS = ['person', 'thing', 'place'] as const;
type Kind = (typeof KINDS)[number];
type Group = Readonly<Record<Kind, string>>;

export interface EntityBindingParams {
  /** People, each with one thing and one place of their own. */
  readonly groups: number;
  /** What is asked for. */
  readonly ask: Kind;
  /** By what of the same group it is asked for. */
  readonly by: Kind;
  readonly haystack: Haystack;
}

/**
 * Bound entities (arXiv 2510.06182): several people put one thing each into one place each; one member of a group is asked for by
 * another. Nothing but the binding tells the groups apart: whoever keeps the names but loses who belongs to whom picks among `groups`.
 *
 * From upstream: groups of entities in text, asked for in either direction, the place of the group among the others as a measure. Ours:
 * sentences, names, prose between them. Chance: one in `groups`.
 */
export const entityBinding = defineTask<EntityBindingParams>({
  id: 'entity_binding',
  family: 'recall',
  description: 'Who put what where: one of the three by another, among groups of the same form.',
  source: {
    title: 'Mixing Mechanisms: How Language Models Retrieve Bound Entities In-Context',
    arxiv: '2510.06182',
    licence: 'generated here',
  },
  version: 1,
  scorer: 'first-named',
  maxNewTokens: 8,
  chance: ({ groups }) => 1 / groups,
  parameters: z
    .strictObject({
      groups: z.int().min(2).max(24).default(6),
      ask: z.enum(KINDS).default('place'),
      by: z.enum(KINDS).default('person'),
      haystack: HaystackParameter.default('essay'),
    })
    .superRefine(({ ask, by }, context) => {
      if (ask === by) context.addIssue({ code: 'custom', path: ['by'], message: `something other than ask (${ask})` });
    }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'entity_binding', length, index);
    const people = random.sample(FIRST_NAMES, params.groups);
    const things = random.sample(THINGS, params.groups);
    const places = random.sample(PLACES, params.groups);
    const groups = people.map((person, i): Group => ({ person, thing: things[i]!, place: places[i]! }));
    const depths = random.sample(DEPTHS, params.groups).sort((a, b) => a - b);
    const place = random.integer(0, params.groups - 1);
    const needles = groups.map(
      ({ person, thing, place: where }, i): Needle => ({
        text: `${person} put the ${thing} into the ${where}.`,
        depth: depths[i]!,
        isEvidence: i === place,
      }),
    );
    const group = groups[place]!;
    const { haystackUnits, ...prompt } = fillHaystack('entity_binding', order, {
      head: 'The following text says, among other things, who put what where. Each of them put away one thing.\n',
      units: openHaystack(params.haystack, [seed, 'entity_binding', length, index], order.datasets),
      needles,
      ...asking(params, group),
    });
    const classes = groups.map((one) => one[params.ask]);
    return {
      ...sampleOf({ ...prompt, references: [group[params.ask]] }, { groups: params.groups, place, haystackUnits }),
      classes,
    };
  },
});

const asking = ({ ask, by }: EntityBindingParams, { person, thing, place }: Group) => {
  const known = { person, thing: `the ${thing}`, place: `the ${place}` }[by];
  switch (ask) {
    case 'person':
      return by === 'thing'
        ? { question: `\nWho put ${known} away?`, answerPrefix: `The one who put ${known} away is` }
        : {
            question: `\nWho put something into ${known}?`,
            answerPrefix: `The one who put something into ${known} is`,
          };
    case 'thing':
      return by === 'person'
        ? { question: `\nWhat did ${known} put away?`, answerPrefix: `${known} put the` }
        : { question: `\nWhat was put into ${known}?`, answerPrefix: `What was put into ${known} is the` };
    case 'place':
      return by === 'person'
        ? { question: `\nWhere did ${known} put something?`, answerPrefix: `${known} put it into the` }
        : { question: `\nWhere was ${known} put?`, answerPrefix: `${known.replace('the', 'The')} was put into the` };
  }
};

const list = (text: string): readonly string[] => text.trim().split(/\s*,\s*/);

/** No word holds another, and none stands in the prose. */
const THINGS = list(
  'acorn, amulet, anvil, banjo, biscuit, bugle, candle, compass, dagger, feather, goblet, hammer, helmet, kettle, lantern, marble, necklace, pebble, pumpkin, ribbon, saddle, teapot, trumpet, walnut',
);
const PLACES = list(
  'alcove, barrel, basket, bathtub, bucket, cabinet, cauldron, cellar, cupboard, fireplace, flowerpot, fridge, hammock, haystack, locker, mailbox, satchel, tunnel, vault, suitcase, toolbox, trunk, wagon, wardrobe',
);
