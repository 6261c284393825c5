import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import type { Task } from '../contract.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import { openHaystack } from './haystack.js';

export interface PasskeyParams {
  /** Places of the needle, evenly from the start to the end; sample i has place i modulo their number. */
  readonly places: number;
}

/**
 * A number hidden once in a text that repeats one line (InfiniteBench, arXiv 2402.13718, Retrieve.PassKey and Retrieve.Number).
 *
 * From upstream: five random digits as pass key; ten digits of which five repeat the one before them as number; the even sweep of
 * places; the scorer. Ours: wording, the noise line, 11 places instead of about 59.
 */
const hiddenNumber = (
  id: string,
  { what, scorer, description }: { readonly what: string; readonly scorer: string; readonly description: string },
  draw: (random: Random) => string,
): Task<PasskeyParams> =>
  defineTask<PasskeyParams>({
    id,
    family: 'niah',
    description,
    source: {
      title: '∞Bench: Extending Long Context Evaluation Beyond 100K Tokens',
      arxiv: '2402.13718',
      url: 'https://github.com/OpenBMB/InfiniteBench',
      licence: 'generated here (upstream: MIT)',
    },
    version: 1,
    scorer,
    maxNewTokens: 16,
    parameters: z.strictObject({ places: z.int().min(1).max(1000).default(11) }),
    makeSample(order) {
      const { params, length, seed, index } = order;
      const number = draw(createRandom(seed, id, length, index));
      const place = index % params.places;
      const depth = params.places === 1 ? 50 : (100 * place) / (params.places - 1);
      const { haystackUnits, ...prompt } = fillHaystack(id, order, {
        head: `A ${what} is hidden in a lot of idle text. Find it and remember it: you will be asked for it.\n`,
        units: openHaystack('noise'),
        needles: [
          { text: `The ${what} is ${number}. Remember it. ${number} is the ${what}.`, depth, isEvidence: true },
        ],
        question: `\nWhat is the ${what}?`,
        answerPrefix: `The ${what} is`,
      });
      return sampleOf(
        { ...prompt, references: [number] },
        { depth: Math.round(depth), depths: params.places, haystackUnits },
      );
    },
  });

const digits = (random: Random, count: number): string[] =>
  Array.from({ length: count }, () => String(random.integer(0, 9)));

export const HIDDEN_NUMBER_TASKS = [
  hiddenNumber(
    'passkey',
    {
      what: 'pass key',
      scorer: 'infinitebench/passkey',
      description: 'Five digits in a text that repeats one line, at each place in turn.',
    },
    (random) => digits(random, 5).join(''),
  ),
  hiddenNumber(
    'number_string',
    {
      what: 'sequence of digits',
      scorer: 'infinitebench/number_string',
      description: 'Ten digits with repetitions in a text that repeats one line, at each place in turn.',
    },
    (random) => {
      const number = digits(random, 5);
      // Doubling a digit that stands already makes it easy to lose count of it.
      for (let i = 0; i < 5; i++) {
        const at = random.integer(0, number.length - 1);
        number.splice(at, 0, number[at]!);
      }
      return number.join('');
    },
  ),
] as const;
