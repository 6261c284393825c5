import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import type { Task } from '../contract.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { fitUnits } from './fit-units.js';
import type { HaystackUnits } from './haystack.js';
import { DEPTHS, insertNeedles, type Needle } from './insert-needles.js';
import { distinctTokens, makeToken, type TokenKind } from './needle-line.js';

type Kind = 'lookup' | 'conditional' | 'thread' | 'branched';

export interface KeyValuesParams {
  readonly tokens: TokenKind | 'strings';
  /** Keys asked for, or threads to follow. */
  readonly keys: number;
  /** Pairs of a thread: the value of one is the key of the next. 1 where nothing is followed. */
  readonly steps: number;
  /** Where the pairs of a thread lie: later ones after earlier ones, before them, or anywhere. */
  readonly direction: 'forward' | 'backward' | 'random';
  /** Side by side, or spread over the object. */
  readonly placement: 'random' | 'clustered';
}

/**
 * Retrieval from a JSON object of random keys and values (Lost in the Middle, arXiv 2307.03172; Needle Threading, arXiv 2411.05000): the
 * value of a key, of several keys, of all keys with a mark, or the end of a thread in which every value is the next key.
 *
 * Ours: wording, the depth grid. A branched thread goes on from every step along one long branch and one that ends at once; since the
 * keys of branches are the same, the object is text that no parser would take. Keys and values never stand elsewhere in the object.
 */
const keyValues = (id: string, kind: Kind, description: string, preset: KeyValuesParams): Task<KeyValuesParams> =>
  defineTask<KeyValuesParams>({
    id,
    family: 'key-values',
    description,
    source: {
      title: 'Needle Threading: Can LLMs Follow Threads through Near-Million-Scale Haystacks?',
      arxiv: '2411.05000',
      url: 'https://github.com/jonathan-roberts1/needle-threading',
      licence: 'generated here (upstream: MIT)',
    },
    version: 2,
    scorer: 'ruler/string_match_all',
    maxNewTokens: 128,
    parameters: z
      .strictObject({
        tokens: z.enum(['uuids', 'words', 'numbers', 'strings']).default(preset.tokens),
        keys: z.int().min(1).max(DEPTHS.length).default(preset.keys),
        steps: z.int().min(1).max(DEPTHS.length).default(preset.steps),
        direction: z.enum(['forward', 'backward', 'random']).default(preset.direction),
        placement: z.enum(['random', 'clustered']).default(preset.placement),
      })
      .superRefine(({ keys, steps }, context) => {
        if (keys * steps > DEPTHS.length)
          context.addIssue({
            code: 'custom',
            path: ['keys'],
            message: `keys x steps (${keys * steps}) of at most ${DEPTHS.length}, one place each`,
          });
      }),
    makeSample: (order) => makeSample(id, kind, order),
  });

const lookup = { tokens: 'uuids', keys: 1, steps: 1, direction: 'random', placement: 'random' } as const;

export const KEY_VALUE_TASKS = [
  keyValues('kv_retrieval', 'lookup', 'The value of one key of a JSON object.', lookup),
  keyValues('kv_string', 'lookup', 'The value of one key of a JSON object of random letters and digits.', {
    ...lookup,
    tokens: 'strings',
  }),
  keyValues('kv_multi', 'lookup', 'The values of several keys of a JSON object.', { ...lookup, keys: 5 }),
  keyValues('kv_conditional', 'conditional', 'The values of all keys that hold a mark.', { ...lookup, keys: 4 }),
  keyValues('threading', 'thread', 'The end of a thread whose values are keys of further pairs.', {
    ...lookup,
    steps: 4,
    direction: 'forward',
  }),
  keyValues('multi_threading', 'thread', 'The ends of several threads at once.', {
    ...lookup,
    keys: 3,
    steps: 3,
    direction: 'forward',
  }),
  keyValues('branched_threading', 'branched', 'The end of the longest branch of a thread.', {
    ...lookup,
    steps: 4,
    direction: 'forward',
  }),
] as const;

/** What conditional keys are marked with; it stands in no other key or value. */
const MARKS = ['*', '#', '%', '@'] as const;

const makeSample = (id: string, kind: Kind, order: SampleOrder<KeyValuesParams>) => {
  const { params, length, maxNewTokens, seed, index, meter } = order;
  const random = createRandom(seed, id, length, index);
  const mark = random.pick(MARKS);
  const threads = makeThreads(kind, params, random, mark);
  const needles = threads.flatMap(({ pairs }) => pairs);
  const taken = needles.flatMap(({ key, value }) => [key, value]);
  const units = pairUnits(params.tokens, taken, random);
  const placed = place(threads, params, random);

  const wording = wordingOf(
    kind,
    threads.map(({ pairs: [first] }) => first!.key),
    mark,
  );
  const build = (count: number) => {
    const { text, evidence } = insertNeedles(`${wording.instruction}\n{`, units, count, placed);
    return { text: `${text}}`, evidence };
  };
  const count = fitUnits({
    task: id,
    length,
    maxNewTokens,
    promptTokens: (n) => meter.countPrompt({ ...wording, context: build(n).text }),
    unitTokens: (i) => meter.count(units.separator + units.unit(i)),
  });
  const { text, evidence } = build(count);
  const { question, answerPrefix } = wording;
  const references = threads.map(({ end }) => end);
  return sampleOf(
    { context: text, question, answerPrefix, references, evidence },
    { keys: params.keys, steps: params.steps, haystackUnits: count },
  );
};

export interface Pair {
  readonly key: string;
  readonly value: string;
}

interface Thread {
  /** In the order in which they are followed; dead ends of branches come after their step. */
  readonly pairs: readonly Pair[];
  readonly end: string;
}

const makeThreads = (kind: Kind, { tokens, keys, steps }: KeyValuesParams, random: Random, mark: string): Thread[] => {
  const perThread = kind === 'branched' ? 2 * steps : steps + 1;
  const all = distinctTokens(keys * perThread, () => makeToken(tokens, random));
  return Array.from({ length: keys }, (_, thread) => {
    const own = all.slice(thread * perThread, (thread + 1) * perThread);
    const [start, ...rest] = own as [string, ...string[]];
    const first = kind === 'conditional' ? marked(start, mark, random) : start;
    const chain = [first, ...rest.slice(0, steps)];
    const pairs = chain.slice(1).flatMap((value, i): Pair[] => {
      const key = chain[i]!;
      // The last step has no branch: it is where the long branch ends.
      const deadEnd = kind === 'branched' && i + 1 < steps ? rest[steps + i] : undefined;
      return deadEnd === undefined
        ? [{ key, value }]
        : [
            { key, value },
            { key, value: deadEnd },
          ];
    });
    return { pairs, end: chain.at(-1)! };
  });
};

const marked = (key: string, mark: string, random: Random): string => {
  const at = random.integer(1, key.length - 1);
  return key.slice(0, at) + mark + key.slice(at);
};

export const pairText = ({ key, value }: Pair): string => `"${key}": "${value}"`;

export const pairUnits = (
  tokens: KeyValuesParams['tokens'],
  taken: readonly string[],
  random: Random,
): HaystackUnits => {
  const pairs: string[] = [];
  const given = new Set<string>();
  const draw = (): string => {
    for (;;) {
      const token = distinctTokens(1, () => makeToken(tokens, random), taken)[0]!;
      if (given.has(token)) continue;
      given.add(token);
      return token;
    }
  };
  return {
    separator: ',\n',
    unit: (index) => {
      while (pairs.length <= index) pairs.push(pairText({ key: draw(), value: draw() }));
      return pairs[index]!;
    },
  };
};

const place = (
  threads: readonly Thread[],
  { direction, placement }: KeyValuesParams,
  random: Random,
): readonly Needle[] => {
  const total = threads.reduce((sum, { pairs }) => sum + pairs.length, 0);
  const free = random.sample(DEPTHS, Math.min(total, DEPTHS.length));
  const depths = placement === 'clustered' ? new Array<number>(total).fill(free[0]!) : free;
  let next = 0;
  return threads.flatMap(({ pairs }) => {
    const own = Array.from({ length: pairs.length }, () => depths[next++ % depths.length]!);
    if (direction !== 'random') own.sort((a, b) => a - b);
    if (direction === 'backward') own.reverse();
    const needles = pairs.map((pair, i): Needle => ({ text: pairText(pair), depth: own[i]!, isEvidence: true }));
    // Pairs of one place keep the order of this list.
    if (direction === 'random') return random.shuffle(needles);
    return direction === 'forward' ? needles : needles.toReversed();
  });
};

const quoted = (keys: readonly string[]): string => keys.map((key) => `"${key}"`).join(', ');

const wordingOf = (kind: Kind, keys: readonly string[], mark: string) => {
  const instruction = 'The following JSON object gives a value for every key.';
  const [one] = keys;
  switch (kind) {
    case 'lookup':
      return keys.length === 1
        ? {
            instruction,
            question: `\nWhat is the value of the key "${one}" in the object above?`,
            answerPrefix: `"${one}": "`,
          }
        : {
            instruction,
            question: `\nWhat are the values of these keys in the object above: ${quoted(keys)}?`,
            answerPrefix: 'The values are, in the same order:',
          };
    case 'conditional':
      return {
        instruction,
        question: `\nWhat are the values of all keys that hold the character ${mark} in the object above?`,
        answerPrefix: `The values of the keys that hold ${mark} are:`,
      };
    case 'thread':
    case 'branched': {
      const follow =
        kind === 'thread'
          ? 'Follow the object above: look up the value of a key, take it as the next key, and go on until a value is no key.'
          : 'Follow the object above: look up the values of a key, take each as a next key, and go on. Some branches end early; find the end of the longest.';
      return keys.length === 1
        ? {
            instruction,
            question: `\n${follow} What is the last value when you start with "${one}"?`,
            answerPrefix: 'The last value is',
          }
        : {
            instruction,
            question: `\n${follow} What are the last values when you start with each of ${quoted(keys)}?`,
            answerPrefix: 'The last values are, in the same order:',
          };
    }
  }
};
