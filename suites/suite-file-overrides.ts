import { WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import type { BatchSize, MethodRef } from '../engine/contract.js';
import type { Protocol } from '../methods/contract.js';
import { methods as builtInMethods } from '../methods/index.js';
import { methodRef, resolveMethod } from '../methods/load.js';
import { parseParams } from '../methods/params.js';
import type { ResolvedSuite } from './contract.js';
import { findTask, taskIds } from './tasks/index.js';

/** What the command line changes about a suite. An absent field leaves the suite's own. */
export interface SuiteOverrides {
  readonly model?: string | undefined;
  /** Names or ids of the suite's tasks, or ids of others, which then run with their defaults. */
  readonly tasks?: readonly string[] | undefined;
  /** Instead of all lengths, those of single tasks included. */
  readonly lengths?: readonly number[] | undefined;
  /** Ids of the suite's methods (all their parameters), other ids or ./file.ts. dense always runs beside them. */
  readonly methods?: readonly string[] | undefined;
  /** Either kind of budget replaces both kinds of the suite. */
  readonly keptFractions?: readonly number[] | undefined;
  readonly tokenBudgets?: readonly number[] | undefined;
  readonly protocols?: readonly Protocol[] | undefined;
  /** How many samples generated tasks make. */
  readonly samples?: number | undefined;
  /** Caps the samples. */
  readonly limit?: number | undefined;
  readonly seed?: number | undefined;
  /** Methods claimed to be better, instead of the suite's. */
  readonly superiority?: readonly string[] | undefined;
  /** Whether the model's chat template frames the prompts. */
  readonly chatTemplate?: boolean | undefined;
  /** Rows that decode together in the timing pass, of all methods and lengths of the run. */
  readonly batch?: readonly BatchSize[] | undefined;
  /** What the largest batch has to fit. */
  readonly memoryBytes?: number | undefined;
}

/** The suite as it will run. Throws ERR_USAGE for a task or method that does not exist. */
export const applyOverrides = async (suite: ResolvedSuite, overrides: SuiteOverrides): Promise<ResolvedSuite> => {
  const { lengths, keptFractions, tokenBudgets, protocols, limit } = overrides;
  const tasks = overrides.tasks === undefined ? suite.tasks : selectTasks(suite, overrides.tasks);
  const methods = overrides.methods === undefined ? suite.methods : await selectMethods(suite, overrides.methods);
  const { superiority: _, ...unclaimed } = suite;
  const samples = overrides.samples ?? suite.samples;
  const budgetsGiven = keptFractions !== undefined || tokenBudgets !== undefined;
  return {
    ...unclaimed,
    model: overrides.model ?? suite.model,
    seed: overrides.seed ?? suite.seed,
    samples: limit === undefined ? samples : Math.min(samples, limit),
    lengths: lengths ?? suite.lengths,
    tasks: lengths === undefined ? tasks : tasks.map(({ lengths: _, ...task }) => task),
    methods,
    keptFractions: budgetsGiven ? (keptFractions ?? []) : suite.keptFractions,
    tokenBudgets: budgetsGiven ? (tokenBudgets ?? []) : suite.tokenBudgets,
    protocols: protocols ?? suite.protocols,
    chatTemplate: overrides.chatTemplate ?? suite.chatTemplate,
    ...superiorityOf(suite, overrides, methods),
    ...batchOf(suite, overrides),
    exclude: suite.exclude.filter(({ method }) => methods.some(({ id }) => id === method)),
  };
};

/** A claim about a method that does not run is left out; one made on the command line must name a method that does. */
const superiorityOf = (
  suite: ResolvedSuite,
  { superiority }: SuiteOverrides,
  methods: readonly MethodRef[],
): { readonly superiority?: readonly string[] } => {
  const ids = methods.map(({ id }) => id);
  for (const name of superiority ?? [])
    if (!ids.includes(name))
      throw new WinnowError('ERR_USAGE', '--superiority', 'a method of this run', name, suggestName(name, ids));
  const claimed = superiority ?? (suite.superiority ?? []).filter((name) => ids.includes(name));
  return claimed.length === 0 ? {} : { superiority: claimed };
};

const batchOf = (
  { timed }: ResolvedSuite,
  { batch: sizes, memoryBytes }: SuiteOverrides,
): Pick<ResolvedSuite, 'timed'> => {
  if (sizes === undefined && memoryBytes === undefined) return {};
  const batch = sizes === undefined ? timed?.batch : { sizes };
  if (batch === undefined)
    throw new WinnowError('ERR_USAGE', '--memory', 'a run that times batches', 'none', 'Add --batch largest.');
  return { timed: { ...timed, batch: { ...batch, ...(memoryBytes === undefined ? {} : { memoryBytes }) } } };
};

const selectTasks = (suite: ResolvedSuite, words: readonly string[]): ResolvedSuite['tasks'] =>
  words.flatMap((word) => {
    const byName = suite.tasks.filter(({ name }) => name === word);
    const found = byName.length > 0 ? byName : suite.tasks.filter(({ id }) => id === word);
    if (found.length > 0) return found;
    const task = findTask(word);
    if (task === undefined) {
      const known = [...suite.tasks.map(({ name }) => name), ...taskIds()];
      throw new WinnowError(
        'ERR_USAGE',
        '--task',
        'a task of the suite or a known one',
        word,
        suggestName(word, known),
      );
    }
    if (suite.lengths.length === 0) {
      throw new WinnowError(
        'ERR_USAGE',
        '--task',
        'a task of the suite, which has no lengths of its own',
        word,
        'Add --length.',
      );
    }
    const { maxNewTokens } = task;
    const params = { ...task.defaults } as Record<string, unknown>;
    return [{ id: word, name: word, params, ...(maxNewTokens === undefined ? {} : { maxNewTokens }) }];
  });

const selectMethods = async (suite: ResolvedSuite, words: readonly string[]): Promise<readonly MethodRef[]> => {
  const selected: MethodRef[] = [];
  for (const word of words.includes('dense') ? words : ['dense', ...words]) {
    const found = suite.methods.filter(({ id, file }) => id === word || (file !== undefined && file === word));
    selected.push(...(found.length > 0 ? found : [await otherMethod(suite, word)]));
  }
  return selected;
};

const otherMethod = async (suite: ResolvedSuite, word: string): Promise<MethodRef> => {
  const ref = methodRef(word);
  const known = [...suite.methods, ...builtInMethods].map(({ id }) => id);
  if (ref.file === undefined && !known.includes(word) && !word.includes('+')) {
    const fix = suggestName(word, [...new Set(known)]);
    throw new WinnowError('ERR_USAGE', '--method', 'a known method, ids joined by +, or a path ./file.ts', word, fix);
  }
  const method = await resolveMethod(ref);
  const params = parseParams(method) as Record<string, unknown>;
  return { ...ref, id: ref.file === undefined ? word : method.id, params };
};
