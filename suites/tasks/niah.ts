import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import type { Task } from '../contract.js';
import { rulerNiah } from '../sampling/ruler-niah.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { type Haystack, HaystackParameter, openHaystack } from './haystack.js';
import { DEPTHS, insertNeedles, type Needle } from './insert-needles.js';
import { distinctTokens, makeToken, needleLine, needleUnits, type TokenKind } from './needle-line.js';
import { niahWording } from './niah-wording.js';
import { rulerSource, Sampling } from './ruler.js';

export interface NiahParams {
  /** `needles`: lines like the needles themselves, with other keys. */
  readonly haystack: Haystack | 'needles';
  /** Different keys in the text. */
  readonly keys: number;
  /** Needles per key, each with a value of its own. */
  readonly values: number;
  /** Keys asked for. */
  readonly queries: number;
  readonly keyType: TokenKind;
  readonly valueType: TokenKind;
  readonly sampling: Sampling;
}

type Preset = Omit<NiahParams, 'sampling'>;

/**
 * Needle in a haystack, the family of RULER (arXiv 2404.06654, section 3.1): sentences that give a key a value are put into a text, and
 * the answer is the values of the keys asked for.
 *
 * From upstream: the depth grid, keys of two words, 7-digit numbers, the singular wording when one value is asked for, the answer
 * prefix, the length rule. Ours: wording and word lists, generated essays that differ between samples, needle order drawn anew for
 * every sample (upstream repeats one order), noise needles on the depth grid too.
 */
const niah = (id: string, description: string, preset: Preset): Task<NiahParams> =>
  defineTask<NiahParams>({
    id,
    family: 'niah',
    description,
    source: rulerSource,
    version: 1,
    scorer: 'ruler/string_match_all',
    maxNewTokens: 128,
    parameters: parametersOf(preset),
    makeSample: (order) => makeSample(id, order),
    *upstream(order) {
      for (const { units, ...prompt } of rulerNiah(
        { ...order.params, datasets: order.datasets },
        { task: id, ...order },
      ))
        yield sampleOf(prompt, { keys: order.params.keys, haystackUnits: units });
    },
  });

const parametersOf = (preset: Preset): z.ZodType<NiahParams> => {
  const kind = z.enum(['words', 'numbers', 'uuids']);
  return z
    .strictObject({
      haystack: z.union([HaystackParameter, z.literal('needles')]).default(preset.haystack as 'noise' | 'essay'),
      keys: z.int().min(1).max(DEPTHS.length).default(preset.keys),
      values: z.int().min(1).max(DEPTHS.length).default(preset.values),
      queries: z.int().min(1).max(DEPTHS.length).default(preset.queries),
      keyType: kind.default(preset.keyType),
      valueType: kind.default(preset.valueType),
      sampling: Sampling,
    })
    .superRefine(({ keys, values, queries }, context) => {
      const issue = (path: string, message: string): void =>
        context.addIssue({ code: 'custom', path: [path], message });
      if (queries > keys) issue('queries', `at most keys (${keys})`);
      if (keys * values > DEPTHS.length)
        issue('keys', `keys x values (${keys * values}) of at most ${DEPTHS.length}, one place each`);
    });
};

export const NIAH_TASKS = [
  niah('niah_single_1', 'One number in a text that repeats one line of noise.', {
    haystack: 'noise',
    keys: 1,
    values: 1,
    queries: 1,
    keyType: 'words',
    valueType: 'numbers',
  }),
  niah('niah_single_2', 'One number in essays.', {
    haystack: 'essay',
    keys: 1,
    values: 1,
    queries: 1,
    keyType: 'words',
    valueType: 'numbers',
  }),
  niah('niah_single_3', 'One UUID in essays.', {
    haystack: 'essay',
    keys: 1,
    values: 1,
    queries: 1,
    keyType: 'words',
    valueType: 'uuids',
  }),
  niah('niah_multikey_1', 'The number of one key among several keys, in essays.', {
    haystack: 'essay',
    keys: 4,
    values: 1,
    queries: 1,
    keyType: 'words',
    valueType: 'numbers',
  }),
  niah('niah_multikey_2', 'The number of one key in a text of nothing but such numbers.', {
    haystack: 'needles',
    keys: 1,
    values: 1,
    queries: 1,
    keyType: 'words',
    valueType: 'numbers',
  }),
  niah('niah_multikey_3', 'The UUID of one UUID in a text of nothing but such pairs.', {
    haystack: 'needles',
    keys: 1,
    values: 1,
    queries: 1,
    keyType: 'uuids',
    valueType: 'uuids',
  }),
  niah('niah_multivalue', 'All four numbers of one key, in essays.', {
    haystack: 'essay',
    keys: 1,
    values: 4,
    queries: 1,
    keyType: 'words',
    valueType: 'numbers',
  }),
  niah('niah_multiquery', 'The numbers of four keys, in essays.', {
    haystack: 'essay',
    keys: 4,
    values: 1,
    queries: 4,
    keyType: 'words',
    valueType: 'numbers',
  }),
] as const;

const makeSample = (
  id: string,
  { params, length, maxNewTokens, seed, index, meter, datasets }: SampleOrder<NiahParams>,
) => {
  const random = createRandom(seed, id, length, index);
  const keys = distinctTokens(params.keys, () => makeToken(params.keyType, random));
  const values = distinctTokens(params.keys * params.values, () => makeToken(params.valueType, random));
  const asked = random.sample(keys, params.queries);
  const depths = random.sample(DEPTHS, values.length);
  const needles = values.map((value, i): Needle => {
    const key = keys[Math.floor(i / params.values)]!;
    return { text: needleLine(params.valueType, key, value), depth: depths[i]!, isEvidence: asked.includes(key) };
  });
  const references = asked.flatMap((key) => {
    const first = keys.indexOf(key) * params.values;
    return values.slice(first, first + params.values);
  });

  const wording = niahWording(params.valueType, asked, references.length === 1);
  const units =
    params.haystack === 'needles'
      ? needleUnits(params, [...keys, ...values], random)
      : openHaystack(params.haystack, [seed, id, length, index], datasets);
  const build = (count: number) => insertNeedles(`${wording.instruction}\n`, units, count, needles);
  const count = fitUnits({
    task: id,
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ ...wording, context: build(n).text }),
    unitTokens: (i) => meter.count(units.separator + units.unit(i)),
  });
  const { text, evidence } = build(count);
  return {
    context: text,
    documents: [],
    question: wording.question,
    answerPrefix: wording.answerPrefix,
    references,
    evidence,
    stop: [],
    meta: { depth: needles.find(({ isEvidence }) => isEvidence)!.depth, keys: params.keys, haystackUnits: count },
  };
};
