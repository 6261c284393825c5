import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import type { HaystackUnits } from './haystack.js';
import { DEPTHS, type Needle } from './insert-needles.js';

export interface HashHopParams {
  /** Lines from the first hash to the last value. */
  readonly hops: number;
  /** Whether the answer names every hash on the way, each of which then counts, or the last value alone. */
  readonly chainOfThought: boolean;
  /** Letters of a hash. */
  readonly letters: number;
}

/**
 * Hash hop (magicproduct/hash-hop): every line assigns one string of random letters to another; chains of assignments are shuffled, and the end
 * of one is asked for by its start. Random letters leave a model nothing to guess by.
 *
 * From upstream: 16 letters, shuffled lines, the last value in quotes, with or without the way. Ours: wording, other chains of the same
 * number of hops as haystack (the last of them may be cut), each line on its own.
 */
export const hashHop = defineTask<HashHopParams>({
  id: 'hash_hop',
  family: 'key-values',
  description: 'The end of a chain of assignments among other chains, with or without the way to it.',
  source: {
    title: 'HashHop',
    url: 'https://github.com/magicproduct/hash-hop',
    licence: 'generated here (upstream: MIT)',
  },
  version: 1,
  scorer: 'ruler/string_match_all',
  maxNewTokens: 128,
  parameters: z.strictObject({
    hops: z.int().min(1).max(DEPTHS.length).default(1),
    chainOfThought: z.boolean().default(false),
    letters: z.int().min(8).max(32).default(16),
  }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'hash_hop', length, index);
    const chain = makeChain(params, random);
    const depths = random.sample(DEPTHS, params.hops);
    const needles = linesOf(chain).map((text, i): Needle => ({ text, depth: depths[i]!, isEvidence: true }));
    const [start, ...rest] = chain as [string, ...string[]];
    const end = rest.at(-1)!;
    const { haystackUnits, ...prompt } = fillHaystack('hash_hop', order, {
      head: 'Each line below assigns one name to another one, or to a value in quotes. Follow the assignments.\n',
      units: otherChains(params, createRandom(seed, 'hash_hop others', length, index)),
      needles,
      question: params.chainOfThought
        ? `\nStart with ${start} and write every name on the way down to the value in quotes.`
        : `\nStart with ${start}. Which value in quotes does it lead to?`,
      answerPrefix: params.chainOfThought ? `${start} =` : `${start} ${params.hops === 1 ? '=' : 'leads to'} '`,
    });
    const references = params.chainOfThought ? rest : [end];
    return sampleOf({ ...prompt, references }, { hops: params.hops, haystackUnits });
  },
});

/** Names and the value at the end; none comes twice in 52^8 draws or more. */
const makeChain = ({ hops, letters }: HashHopParams, random: Random): string[] =>
  Array.from({ length: hops + 1 }, () =>
    Array.from({ length: letters }, () => LETTERS[random.integer(0, LETTERS.length - 1)]!).join(''),
  );
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const linesOf = (chain: readonly string[]): string[] =>
  chain.slice(1).map((value, i) => `${chain[i]} = ${i + 2 === chain.length ? `'${value}'` : value}`);

/** Lines of chains, shuffled among a few chains at a time, so that any number of lines holds as many whole chains as it can. */
const otherChains = (params: HashHopParams, random: Random): HaystackUnits => {
  const lines: string[] = [];
  return {
    separator: '\n',
    unit: (index) => {
      while (lines.length <= index)
        lines.push(
          ...random.shuffle(Array.from({ length: CHAINS_AT_A_TIME }, () => linesOf(makeChain(params, random))).flat()),
        );
      return lines[index]!;
    },
  };
};
const CHAINS_AT_A_TIME = 8;
