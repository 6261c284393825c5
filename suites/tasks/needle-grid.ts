import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import { type Haystack, HaystackParameter, openHaystack } from './haystack.js';
import { DEPTHS, type Needle } from './insert-needles.js';
import { distinctTokens, makeToken, needleLine, type TokenKind } from './needle-line.js';
import { niahWording } from './niah-wording.js';

export interface NeedleGridParams {
  /** Percent of the haystack before the needle; sample i has depth i modulo their number. */
  readonly depths: readonly number[];
  /** Different keys in the text; all but one at random places. */
  readonly keys: number;
  readonly keyType: TokenKind;
  readonly valueType: TokenKind;
  readonly haystack: Haystack;
}

/**
 * Needle depth by length: the needle's place is swept evenly instead of drawn, so that a map of depth and length has as many samples in
 * every field (with a number of samples that the number of depths divides).
 *
 * From upstream: the sweep from 0 to 100 %. Ours: needles and wording of the `niah` tasks, exact match instead of a judge, linear depths
 * (upstream also offers logistic ones), places between sentences.
 */
export const needleGrid = defineTask<NeedleGridParams>({
  id: 'needle_grid',
  family: 'niah',
  description: 'One number in essays, at each depth in turn.',
  source: {
    title: 'Needle In A Haystack: pressure testing LLMs',
    url: 'https://github.com/gkamradt/LLMTest_NeedleInAHaystack',
    licence: 'generated here (upstream: MIT)',
  },
  version: 1,
  scorer: 'ruler/string_match_all',
  maxNewTokens: 16,
  parameters: z.strictObject({
    depths: z.array(z.number().min(0).max(100)).min(1).default([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
    keys: z.int().min(1).max(DEPTHS.length).default(1),
    keyType: z.enum(['words', 'numbers', 'uuids']).default('words'),
    valueType: z.enum(['words', 'numbers', 'uuids']).default('numbers'),
    haystack: HaystackParameter.default('essay'),
  }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'needle_grid', length, index);
    const keys = distinctTokens(params.keys, () => makeToken(params.keyType, random));
    const values = distinctTokens(params.keys, () => makeToken(params.valueType, random), keys);
    const depth = params.depths[index % params.depths.length]!;
    const others = random.sample(DEPTHS, params.keys);
    const needles = keys.map(
      (key, i): Needle => ({
        text: needleLine(params.valueType, key, values[i]!),
        depth: i === 0 ? depth : others[i]!,
        isEvidence: i === 0,
      }),
    );
    const { instruction, ...wording } = niahWording(params.valueType, keys.slice(0, 1), true);
    const units = openHaystack(params.haystack, [seed, 'needle_grid', length, index], order.datasets);
    const { haystackUnits, ...prompt } = fillHaystack('needle_grid', order, {
      head: `${instruction}\n`,
      units,
      needles,
      ...wording,
    });
    return sampleOf(
      { ...prompt, references: [values[0]!] },
      { depth, depths: params.depths.length, keys: params.keys, haystackUnits },
    );
  },
});
