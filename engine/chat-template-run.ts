/** Runs a parsed chat template of a stranger within limits: steps, lengths, numbers and, as a backstop, time. */
import { createContext, Script } from 'node:vm';
import { Environment, Interpreter, type Template } from '@huggingface/jinja';

/** Templates in use take a few hundred steps; nested loops of a hostile one never end. */
const mostSteps = 200_000;
/** All numbers of all ranges together; templates count tool calls and spaces with them. */
const mostRangeNumbers = 100_000;
/** Characters of any text on the way; every operation makes at most a few times what it was given. */
const longestText = 1 << 20;
/** Indents and repeats are made of numbers: one beyond this would make a text of as many characters. */
const largestNumber = 1e6;
/** For what the limits above do not see: one operation of the library that takes long. */
const mostMs = 2_000;

/** Templates may print today's date; a fixed one keeps prompts equal from day to day. It is the default of Llama 3's own template. */
export const fixedDate = '26 Jul 2024';

/** Throws an Error that says which limit was met, or what the template itself raises. */
export function runTemplate(parsed: Template['parsed'], variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  const raise = (message: unknown): never => {
    throw new Error(String(message));
  };
  const constants = { true: true, false: false, none: null, True: true, False: false, None: null };
  const globals = { ...constants, raise_exception: raise, range: boundedRanges(), strftime_now: () => fixedDate };
  for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
  const text = within(mostMs, () => boundedInterpreter(environment).run(parsed).value);
  if (typeof text !== 'string') throw new Error('the template gives no text');
  return text;
}

interface BoundedInterpreter {
  run(parsed: Template['parsed']): { readonly value: unknown };
  evaluate(statement: unknown, environment: unknown): { readonly value: unknown };
}

/** The library's interpreter, which evaluates every node by this method of its own, watched there. */
function boundedInterpreter(environment: Environment): BoundedInterpreter {
  const interpreter: BoundedInterpreter = new Interpreter(environment);
  const evaluate = interpreter.evaluate.bind(interpreter);
  let steps = 0;
  interpreter.evaluate = (statement, scope) => {
    if (++steps > mostSteps) throw new Error(`more than ${mostSteps} steps`);
    const result = evaluate(statement, scope);
    const { value } = result;
    if (typeof value === 'string' && value.length > longestText)
      throw new Error(`a text of more than ${longestText} characters`);
    if (typeof value === 'number' && Math.abs(value) > largestNumber)
      throw new Error(`a number beyond ${largestNumber}`);
    return result;
  };
  return interpreter;
}

/** Python's range, whose lists are bounded all together. */
function boundedRanges(): (start: number, stop?: number, step?: number) => number[] {
  let made = 0;
  return (start, stop, step = 1) => {
    const [from, to] = typeof stop === 'number' ? [start, stop] : [0, start];
    const count = Math.max(0, Math.ceil((to - from) / step));
    made += count;
    if (!(made <= mostRangeNumbers)) throw new Error(`range() of more than ${mostRangeNumbers} numbers`);
    return Array.from({ length: count }, (_, index) => from + index * step);
  };
}

const limited = new Script('work()');

/** Runs `work` and throws when it takes longer: V8 stops it wherever it is. */
function within<T>(milliseconds: number, work: () => T): T {
  return limited.runInContext(createContext({ work }), { timeout: milliseconds }) as T;
}
