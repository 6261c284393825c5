import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { rulerVt } from '../sampling/ruler-vt.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { openHaystack } from './haystack.js';
import { DEPTHS, insertNeedles } from './insert-needles.js';
import { rulerSource, Sampling } from './ruler.js';
import { vtInstruction, vtWording } from './vt-wording.js';

export interface VtParams {
  /** Copies along the chain: hops + 1 variables hold the value. */
  readonly hops: number;
  readonly sampling: Sampling;
}

/**
 * Variable tracking, RULER (arXiv 2404.06654, section 3.2): a chain of assignments is spread over lines of noise, in order, and the
 * answer is every variable of the chain. One solved example comes first, without which small models score nothing.
 *
 * From upstream: noise lines, five-letter names, the example with three-letter names drawn anew for every sample. Ours: wording, the
 * depth grid for the lines, an example of at most a quarter of the length (upstream: 500 tokens), so that short lengths work.
 */
export const vt = defineTask<VtParams>({
  id: 'vt',
  family: 'variable-tracking',
  description: 'All variables of a chain of assignments in lines of noise, after one solved example.',
  source: rulerSource,
  version: 1,
  scorer: 'ruler/string_match_all',
  maxNewTokens: 30,
  parameters: z.strictObject({ hops: z.int().min(1).max(10).default(4), sampling: Sampling }),
  makeSample,
  *upstream(order) {
    for (const { units, ...prompt } of rulerVt(order.params.hops, { task: 'vt', ...order }))
      yield sampleOf(prompt, { hops: order.params.hops, haystackUnits: units });
  },
});

const noise = openHaystack('noise');

function makeSample({ params, length, maxNewTokens, seed, index, meter }: SampleOrder<VtParams>) {
  const random = createRandom(seed, 'vt', length, index);
  const chain = makeChain(params.hops, 5, random);
  let solved = makeChain(params.hops, 3, random);
  while (solved.value === chain.value) solved = makeChain(params.hops, 3, random);

  const exampleText = (lines: number): string => {
    const { text } = insertNeedles(vtInstruction, noise, lines, solved.needles);
    return `${text}${solved.question}\n${solved.answerPrefix} ${solved.names.join(', ')}\n\n`;
  };
  const exampleLines = linesWithin(Math.min(500, length >> 2), (lines) => meter.count(exampleText(lines)));
  const head = exampleText(exampleLines) + vtInstruction;

  const build = (lines: number) => insertNeedles(head, noise, lines, chain.needles);
  const lines = fitUnits({
    task: 'vt',
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ ...chain, context: build(n).text }),
    unitTokens: (i) => meter.count(noise.separator + noise.unit(i)),
  });
  const { text, evidence } = build(lines);
  return {
    context: text,
    documents: [],
    question: chain.question,
    answerPrefix: chain.answerPrefix,
    references: chain.names,
    evidence,
    stop: [],
    meta: { hops: params.hops, haystackUnits: lines, exampleUnits: exampleLines },
  };
}

/** The example's noise lines: as many as its tokens allow, none if even that is too long. */
const linesWithin = (maxTokens: number, tokens: (lines: number) => number): number => {
  let lines = 0;
  while (tokens(lines + 1) <= maxTokens) lines += 1;
  return lines;
};

const makeChain = (hops: number, letters: number, random: Random) => {
  const names: string[] = [];
  while (names.length <= hops) {
    const name = Array.from({ length: letters }, () => String.fromCharCode(65 + random.integer(0, 25))).join('');
    if (!names.includes(name) && name !== 'VAR') names.push(name);
  }
  const value = random.integer(10_000, 99_998);
  const depths = random.sample(DEPTHS, names.length).sort((a, b) => a - b);
  const needles = names.map((name, i) => ({
    text: `VAR ${name} = ${i === 0 ? value : `VAR ${names[i - 1]}`}`,
    depth: depths[i]!,
    isEvidence: true,
  }));
  return {
    names,
    value,
    needles,
    ...vtWording(String(value), names.length),
  };
};
