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

export interface RegisterTrackingParams extends ProcedureParams {
  readonly registers: number;
}

/**
 * A scratchpad: registers are set, copied, swapped and looked up, step by step, and all of them are written after each step. Every line
 * needs the line before it, one line of the program and, for look-ups, a fact far back.
 */
export const registerTracking = procedureTask<RegisterTrackingParams>(
  {
    id: 'register_tracking',
    description: 'The state of some registers after each step of a program, with codes to look up in essays.',
    source: proceduresSource,
    parameters: z.strictObject({ ...procedureParameters, registers: z.int().min(2).max(8).default(2) }),
  },
  (params, random) => drawProgram(params, random),
);

const INSTRUCTION =
  'Registers hold numbers. Carry out the steps in order. For each one write what it does and then all registers. Some steps use a code: the notes tell it.';

const drawProgram = (params: RegisterTrackingParams, random: Random): Procedure => {
  const names = Array.from({ length: params.registers }, (_, i) => String.fromCharCode(65 + i));
  const codes = wordsApart(params.facts, random, INSTRUCTION).map((word) => ({ word, code: random.integer(10, 99) }));
  const used = new Set<string>();
  const values = names.map(() => random.integer(10, 99));
  const written = (): string => names.map((name, i) => `${name} = ${values[i]}`).join(', ');
  const start = written();
  const program: string[] = [];
  const states: string[] = [];
  while (program.length < params.steps) {
    const before = written();
    const [to, from] = random.sample([...names.keys()], 2) as [number, number];
    const kind = random.float();
    let line: string;
    let word: string | undefined;
    if (kind < LOOKUPS) {
      const fact = random.pick(codes);
      word = fact.word;
      values[to] = fact.code;
      line = `set ${names[to]} to the code of ${word}`;
    } else if (kind < 0.7) {
      values[to] = random.integer(10, 99);
      line = `set ${names[to]} to ${values[to]}`;
    } else if (kind < 0.85) {
      values[to] = values[from]!;
      line = `copy ${names[from]} to ${names[to]}`;
    } else {
      [values[to], values[from]] = [values[from]!, values[to]!];
      line = `swap ${names[to]} and ${names[from]}`;
    }
    // A step that changes nothing would be right for whoever repeats the line before.
    if (written() === before) continue;
    if (word !== undefined) used.add(word);
    program.push(line);
    states.push(`${line}; ${written()}`);
  }
  return {
    instruction: `${INSTRUCTION}\n\nAt the start, ${start}.`,
    program,
    facts: codes.map(({ word, code }) => ({ text: `The code of ${word} is ${code}.`, isUsed: used.has(word) })),
    states,
    meta: { registers: params.registers },
  };
};

/** Share of steps that need a fact. */
const LOOKUPS = 0.35;
