import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import type { Sample, Task } from '../contract.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { fitUnits } from './fit-units.js';
import { DEPTHS, insertNeedles, type Needle } from './insert-needles.js';
import { pairText, pairUnits } from './key-values.js';
import { distinctTokens, makeToken, type TokenKind } from './needle-line.js';
import { type Asked, roomForTurns, sampleOfTurns, TURNS_FIELDS, type TurnsParams } from './turns.js';

export interface KeyValueTurnsParams extends TurnsParams {
  readonly tokens: TokenKind;
}

/** One question, before its pair has a place. */
interface Question {
  readonly kind: 'lookup' | 'edit' | 'edited';
  readonly question: string;
  readonly answerPrefix: string;
  readonly answer: string;
  /** The pair of the context that answers it; none where the conversation does. */
  readonly pair?: number;
}

/**
 * Several lookups in one JSON object of random keys and values, as in the key-value retrieval of SCBench (arXiv 2412.10319): what a method
 * kept for one question must serve the next ones too.
 *
 * From upstream: one context, several questions, with the right or the given answers in between or none. Ours: wording, the depth grid, and
 * `kv_edits`, where a conversation changes values that the object gives.
 */
const keyValueTurns = (
  id: string,
  description: string,
  fields: { readonly turns: z.ZodType<number>; readonly history: z.ZodType<TurnsParams['history']> },
  ask: (pairs: readonly Pair[], turns: number) => Question[],
): Task<KeyValueTurnsParams> =>
  defineTask<KeyValueTurnsParams>({
    id,
    family: 'multi-turn',
    description,
    source: {
      title: 'SCBench: A KV Cache-Centric Analysis of Long-Context Methods',
      arxiv: '2412.10319',
      url: 'https://github.com/microsoft/MInference',
      licence: 'generated here (upstream: MIT)',
    },
    version: 2,
    scorer: 'ruler/string_match_all',
    maxNewTokens: 64,
    parameters: z.strictObject({ tokens: z.enum(['uuids', 'words', 'numbers']).default('uuids'), ...fields }),
    makeSample: (order) => makeSample(id, ask, order),
  });

interface Pair {
  readonly key: string;
  readonly value: string;
  /** What an edit makes of it; stands nowhere else. */
  readonly edited: string;
}

const INSTRUCTION = 'The following JSON object gives a value for every key.';

const lookup = (pairs: readonly Pair[], pair: number): Question => {
  const { key, value } = pairs[pair]!;
  return {
    ...{ kind: 'lookup', pair, answer: value, answerPrefix: `"${key}": "` },
    question: `\nWhat is the value of the key "${key}" in the object above?`,
  };
};

/** Rounds of three: a lookup; an edit of another pair, beside a lookup; the edited value, which only the conversation knows. */
const withEdits = (pairs: readonly Pair[], turns: number): Question[] =>
  Array.from({ length: turns }, (_, turn): Question => {
    const round = 3 * Math.floor(turn / 3);
    const changed = pairs[round + 1]!;
    if (turn % 3 === 0) return lookup(pairs, round);
    if (turn % 3 === 1) {
      const asked = lookup(pairs, round + 2);
      const change = `\nThe value of the key "${changed.key}" changes to "${changed.edited}".`;
      return { ...asked, kind: 'edit', question: `${change} ${asked.question.trimStart()}` };
    }
    return {
      ...{ kind: 'edited', answer: changed.edited, answerPrefix: `"${changed.key}": "` },
      question: `\nWhat is the value of the key "${changed.key}" after the change?`,
    };
  });

export const KEY_VALUE_TURN_TASKS = [
  keyValueTurns(
    'kv_turns',
    'The values of keys of one JSON object, one question after the other.',
    TURNS_FIELDS,
    (pairs, turns) => Array.from({ length: turns }, (_, turn) => lookup(pairs, turn)),
  ),
  keyValueTurns(
    'kv_edits',
    'The same in a conversation that changes some values and asks for them afterwards.',
    { turns: z.int().min(3).max(20).default(6), history: z.enum(['gold', 'answer']).default('gold') },
    withEdits,
  ),
] as const;

const makeSample = (
  id: string,
  ask: (pairs: readonly Pair[], turns: number) => Question[],
  { params, length, maxNewTokens, seed, index, meter }: SampleOrder<KeyValueTurnsParams>,
) => {
  const random = createRandom(seed, id, length, index);
  const pairs = makePairs(params, random);
  const questions = ask(pairs, params.turns);
  const depths = random.sample(DEPTHS, pairs.length);
  const needles = pairs.map((pair, i): Needle => ({ text: pairText(pair), depth: depths[i]!, isEvidence: true }));
  const taken = pairs.flatMap(({ key, value, edited }) => [key, value, edited]);
  const units = pairUnits(params.tokens, taken, random);
  const build = (count: number) => {
    const { text, evidence } = insertNeedles(`${INSTRUCTION}\n{`, units, count, needles);
    return { context: `${text}}`, evidence };
  };
  const wordings = questions.map(({ answer, ...wording }) => ({ ...wording, references: [answer] }));
  const count = fitUnits({
    task: id,
    length,
    maxNewTokens: roomForTurns(meter, wordings, params, maxNewTokens),
    promptTokens: (n) => meter.countPrompt({ ...wordings[0]!, context: build(n).context }),
    unitTokens: (i) => meter.count(units.separator + units.unit(i)),
  });
  const { context } = build(count);
  const asked = questions.map(({ kind, question, answerPrefix, answer, pair }): Asked => {
    const evidence = pair === undefined ? [] : [spanOf(context, pairText(pairs[pair]!))];
    const depth = pair === undefined ? {} : { depth: depths[pair]! };
    return { question, answerPrefix, references: [answer], evidence, meta: { kind, ...depth } };
  });
  const [first, ...others] = asked;
  const whole = { ...first!, meta: { ...first!.meta, haystackUnits: count } };
  return sampleOfTurns({ context, maxNewTokens }, [whole, ...others], params);
};

/** Whole rounds: a round of edits names three pairs. */
const makePairs = ({ tokens, turns }: KeyValueTurnsParams, random: Random): Pair[] => {
  const count = 3 * Math.ceil(turns / 3);
  const all = distinctTokens(3 * count, () => makeToken(tokens, random));
  return Array.from({ length: count }, (_, i) => ({
    key: all[3 * i]!,
    value: all[3 * i + 1]!,
    edited: all[3 * i + 2]!,
  }));
};

/** Every pair stands once: keys and values are never parts of others. */
const spanOf = (context: string, text: string): Sample['evidence'][number] => {
  const start = context.indexOf(text);
  return { start, end: start + text.length };
};
