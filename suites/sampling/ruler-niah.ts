import type { OpenDataset } from '../../datasets/index.js';
import { type Haystack, openHaystack } from '../tasks/haystack.js';
import { DEPTHS } from '../tasks/insert-needles.js';
import { needleLine, type TokenKind } from '../tasks/needle-line.js';
import { niahWording } from '../tasks/niah-wording.js';
import { wordPairs } from '../tasks/word-lists.js';
import { type PythonRandom, pythonRandom } from './python-random.js';
import {
  bisectUnits,
  fittingPrompt,
  joinLines,
  type RulerOrder,
  type RulerPrompt,
  rulerTokens,
} from './ruler-search.js';

export interface RulerNiah {
  readonly haystack: Haystack | 'needles';
  readonly keys: number;
  readonly values: number;
  readonly queries: number;
  readonly keyType: TokenKind;
  readonly valueType: TokenKind;
  /** Where a haystack of a dataset is read. */
  readonly datasets?: OpenDataset;
}

/**
 * Needles in the random stream of RULER's niah.py at c3f5e3b: one Mersenne Twister for all samples, moved on by every probe of the
 * length; needles shuffled alike in every sample; needle i of the shuffled list at the i-th place from the end. Wording and word lists
 * are ours. In essays the sentences are ours too (upstream: NLTK's).
 */
export function* rulerNiah(params: RulerNiah, order: RulerOrder): Generator<RulerPrompt & { readonly units: number }> {
  const random = pythonRandom(order.seed);
  const { maxTokens, count } = rulerTokens(order);
  const isEssay = params.haystack !== 'noise' && params.haystack !== 'needles';
  const increment = isEssay ? 500 : order.length < 4096 ? 5 : 25;
  const make = (units: number) => ({ ...makePrompt(params, random, order.seed, units), units });

  const perUnit = count(make(isEssay ? 500 : increment)) / increment;
  const fits = (prompt: RulerPrompt): boolean => count(prompt) + order.maxNewTokens <= maxTokens;
  const best = bisectUnits(increment, Math.trunc((maxTokens / perUnit) * 3), (units) => fits(make(units)));
  for (;;) yield fittingPrompt(order, best, increment, make, fits);
}

const draw = (kind: TokenKind, random: PythonRandom): string => {
  switch (kind) {
    case 'words':
      return random.choice(wordPairs());
    case 'numbers':
      return String(random.randint(1_000_000, 9_999_999));
    case 'uuids':
      return random.uuid4();
  }
};

const makePrompt = (params: RulerNiah, random: PythonRandom, seed: number, units: number): RulerPrompt => {
  const keys: string[] = [];
  const values: string[][] = [];
  const needles: { readonly text: string; readonly key: number }[] = [];
  for (let k = 0; k < params.keys; k++) {
    keys.push(draw(params.keyType, random));
    values.push([]);
    for (let v = 0; v < params.values; v++) {
      values[k]!.push(draw(params.valueType, random));
      needles.push({ text: needleLine(params.valueType, keys[k]!, values[k]![v]!), key: k });
    }
  }
  pythonRandom(seed).shuffle(needles);

  const placed = placeNeedles(params, random, units, needles);
  const asked = random.sample(
    keys.map((_, k) => k),
    params.queries,
  );
  const references = asked.flatMap((k) => values[k]!);
  const wording = niahWording(
    params.valueType,
    asked.map((k) => keys[k]!),
    references.length === 1,
  );
  const marked = new Set(placed.flatMap(({ key }, i) => (key !== undefined && asked.includes(key) ? [i] : [])));
  const head = `${wording.instruction}\n`;
  const isEssay = params.haystack !== 'noise' && params.haystack !== 'needles';
  const lines = placed.map(({ text }) => text);
  const { text, evidence } = joinLines(lines, marked, head.length);
  return {
    context: head + (isEssay ? text.replaceAll('\n', ' ') : text),
    question: wording.question,
    answerPrefix: wording.answerPrefix,
    references,
    evidence,
  };
};

interface Line {
  readonly text: string;
  /** Index of the key that a needle is about; absent in the haystack. */
  readonly key?: number;
}

const placeNeedles = (
  params: RulerNiah,
  random: PythonRandom,
  units: number,
  needles: readonly (Line & { readonly key: number })[],
): Line[] => {
  if (params.haystack !== 'noise' && params.haystack !== 'needles') {
    const sentences = firstWords({ ...params, haystack: params.haystack }, units);
    const places = random
      .sample(DEPTHS, needles.length)
      .map((depth) => Math.trunc(sentences.length * (depth / 100)))
      .sort((a, b) => a - b);
    return [
      ...needles.flatMap((needle, i) => [...sentences.slice(places[i - 1] ?? 0, places[i]!), needle]),
      ...sentences.slice(places.at(-1)!),
    ];
  }
  const noise = openHaystack('noise').unit(0);
  const lines: Line[] = Array.from({ length: units }, () => {
    if (params.haystack === 'noise') return { text: noise };
    const key = draw(params.keyType, random);
    return { text: needleLine(params.valueType, key, draw(params.valueType, random)) };
  });
  const places = random
    .sample(
      lines.map((_, i) => i),
      needles.length,
    )
    .sort((a, b) => b - a);
  places.forEach((place, i) => {
    lines.splice(place, 0, needles[i]!);
  });
  return lines;
};

/** Sentences of the first `count` words of the haystack, which upstream counts in words. */
const firstWords = (
  { haystack, datasets }: Pick<RulerNiah, 'datasets'> & { readonly haystack: Haystack },
  count: number,
): Line[] => {
  const units = openHaystack(haystack, ['ruler'], datasets);
  const lines: Line[] = [];
  for (let words = 0, i = 0; words < count; i++) {
    const parts = units.unit(i).split(' ');
    lines.push({ text: parts.slice(0, count - words).join(' ') });
    words += parts.length;
  }
  return lines;
};
