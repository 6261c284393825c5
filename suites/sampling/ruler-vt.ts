import { NOISE_LINE } from '../../datasets/noise.js';
import { vtWording } from '../tasks/vt-wording.js';
import { numpyRandint, type PythonRandom, pythonRandom } from './python-random.js';
import {
  bisectUnits,
  fittingPrompt,
  joinLines,
  type RulerOrder,
  type RulerPrompt,
  rulerTokens,
} from './ruler-search.js';

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
/** Value of the solved example before it is drawn anew. */
const EXAMPLE_VALUE = '12345';

/**
 * Variable tracking in the random streams of RULER's variable_tracking.py at c3f5e3b: names from Python's generator, values from NumPy's,
 * one solved example of at most 500 tokens whose names and value are drawn anew for every sample. Wording is ours.
 */
export function* rulerVt(hops: number, order: RulerOrder): Generator<RulerPrompt & { readonly units: number }> {
  const random = pythonRandom(order.seed);
  const randint = numpyRandint(order.seed);
  const { maxTokens, count } = rulerTokens(order);
  const make = (units: number, isExample = false) => ({
    ...makePrompt(hops, units, isExample, random, randint),
    units,
  });
  const fit = (increment: number, fits: (prompt: RulerPrompt) => boolean, limit: number, isExample: boolean) => {
    const perUnit = count(make(increment, isExample)) / increment;
    return bisectUnits(increment, Math.trunc((limit / perUnit) * 3), (units) => fits(make(units, isExample)));
  };

  const limit = 500 - (order.length - maxTokens);
  const isExampleShort = (prompt: RulerPrompt): boolean => count(prompt) <= limit;
  const exampleUnits = fit(5, isExampleShort, limit, true);
  const solved = fittingPrompt(order, exampleUnits, 5, (units) => make(units, true), isExampleShort);
  const example = `${solved.context}${solved.question} ${solved.answerPrefix} ${solved.references.join(' ')}\n`;

  const increment = order.length < 4096 ? 5 : 10;
  const exampleTokens = count({ context: example, question: '', answerPrefix: '' });
  const units = fit(increment, (one) => count(one) + exampleTokens + order.maxNewTokens <= maxTokens, maxTokens, false);
  const makeSolved = (n: number) => {
    const prompt = make(n);
    const head = `${redrawn(example, hops, random, randint)}\n`;
    const moved = prompt.evidence.map(({ start, end }) => ({ start: start + head.length, end: end + head.length }));
    return { ...prompt, context: head + prompt.context, evidence: moved };
  };
  for (;;)
    yield fittingPrompt(order, units, increment, makeSolved, (one) => count(one) + order.maxNewTokens <= maxTokens);
}

type Randint = (low: number, high: number) => number;

const drawName = (random: PythonRandom, letters: number): string => random.choices(LETTERS, letters).join('');

const makePrompt = (
  hops: number,
  units: number,
  isExample: boolean,
  random: PythonRandom,
  randint: Randint,
): RulerPrompt => {
  const names = Array.from({ length: hops + 1 }, () => drawName(random, isExample ? 3 : 5));
  // Upstream breaks on two equal names (once in millions of chains of five letters); a new name keeps its stream.
  while (new Set(names).size < names.length) names[names.length - 1] = drawName(random, isExample ? 3 : 5);
  const value = isExample ? EXAMPLE_VALUE : String(randint(10_000, 99_999));
  // The space after a copied name is upstream's.
  const chain = names.map((name, i) => (i === 0 ? `VAR ${name} = ${value}` : `VAR ${name} = VAR ${names[i - 1]} `));
  const lines = new Array<string>(units).fill(NOISE_LINE);
  const places = random
    .sample(
      lines.map((_, i) => i),
      chain.length,
    )
    .sort((a, b) => a - b);
  places.forEach((place, i) => {
    lines.splice(place + i, 0, chain[i]!);
  });
  const wording = vtWording(value, names.length);
  const marked = new Set(places.map((place, i) => place + i));
  const { text, evidence } = joinLines(lines, marked, wording.instruction.length);
  return { ...wording, context: wording.instruction + text, references: names, evidence };
};

const redrawn = (example: string, hops: number, random: PythonRandom, randint: Randint): string => {
  let text = example;
  for (const name of example
    .trim()
    .split(/\s+/)
    .slice(-hops - 1))
    text = text.replaceAll(name, drawName(random, name.length));
  return text.replaceAll(EXAMPLE_VALUE, String(randint(10_000, 99_999)));
};
