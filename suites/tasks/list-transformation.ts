import { z } from 'zod';
import type { Random } from '../../core/random.js';
import {
  type Procedure,
  type ProcedureParams,
  procedureParameters,
  proceduresSource,
  procedureTask,
} from './procedure.js';
import { wordsApart } from './word-lists.js';

export interface ListTransformationParams extends ProcedureParams {
  /** Words in the list. */
  readonly items: number;
}

/** A list of words is changed step by step, and written after each: every line needs the one before it, and replacements need a fact far back. */
export const listTransformation = procedureTask<ListTransformationParams>(
  {
    id: 'list_transformation',
    description: 'A list of words after each of many changes, with replacements to look up in essays.',
    source: proceduresSource,
    parameters: z.strictObject({ ...procedureParameters, items: z.int().min(2).max(12).default(3) }),
  },
  (params, random) => drawProgram(params, random),
);

const INSTRUCTION =
  'A list is changed step by step. For each step write what it does and then the whole list. Some steps ask for the partner of a word: the notes tell it.';

const drawProgram = ({ items, facts, steps }: ListTransformationParams, random: Random): Procedure => {
  const words = wordsApart(
    items + 2 * facts + SPARE,
    random,
    `${INSTRUCTION} At the start: move the first item to the end; swap with; replace by the partner of`,
  );
  const list = words.slice(0, items);
  const pairs = Array.from({ length: facts }, (_, i) => ({
    word: words[items + 2 * i]!,
    partner: words[items + 2 * i + 1]!,
  }));
  const others = words.slice(items + 2 * facts);
  const used = new Set<string>();
  const start = list.join(', ');
  const program: string[] = [];
  const states: string[] = [];
  while (program.length < steps) {
    const before = list.join(', ');
    const [at, other] = random.sample([...list.keys()], 2) as [number, number];
    const kind = random.float();
    let line: string;
    let word: string | undefined;
    if (kind < LOOKUPS) {
      const fact = random.pick(pairs);
      if (list.includes(fact.partner)) continue;
      word = fact.word;
      list[at] = fact.partner;
      line = `replace item ${at + 1} by the partner of ${word}`;
    } else if (kind < 0.6) {
      const free = others.filter((one) => !list.includes(one));
      list[at] = random.pick(free);
      line = `replace item ${at + 1} by ${list[at]}`;
    } else if (kind < 0.8) {
      [list[at], list[other]] = [list[other]!, list[at]!];
      line = `swap item ${Math.min(at, other) + 1} with item ${Math.max(at, other) + 1}`;
    } else {
      list.push(list.shift()!);
      line = 'move the first item to the end';
    }
    if (list.join(', ') === before) continue;
    if (word !== undefined) used.add(word);
    program.push(line);
    states.push(`${line}; ${list.join(', ')}`);
  }
  return {
    instruction: `${INSTRUCTION}\n\nAt the start the list is ${start}.`,
    program,
    facts: pairs.map(({ word, partner }) => ({
      text: `The partner of ${word} is ${partner}.`,
      isUsed: used.has(word),
    })),
    states,
    meta: { items },
  };
};

/** Share of steps that need a fact. */
const LOOKUPS = 0.35;
/** Words that replacements name outright: more than a list holds. */
const SPARE = 40;
