import { readFileSync } from 'node:fs';
import { relative, resolve as resolvePath } from 'node:path';
import { contentHash, sha256Hex } from '../core/canonical-json.js';
import { asWinnowError, type WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import { parseFraction, parseLength, parseMemory } from '../core/units.js';
import type { MethodRef } from '../engine/contract.js';
import { methods as builtInMethods } from '../methods/index.js';
import { resolveMethod } from '../methods/load.js';
import type { ResolvedSuite } from './contract.js';
import { EVIDENCE_SUFFIX, EVIDENCE_TOKENS } from './evidence-question.js';
import { checkData, type SchemaProblem } from './schema-problem.js';
import type { SuiteFile } from './suite-file-schema.js';
import { findTask, taskIds } from './tasks/index.js';

type Path = readonly (string | number)[];
type ErrorAt = (problem: SchemaProblem) => WinnowError;

export interface ResolveContext {
  /** Makes the error for a place in the file. */
  readonly errorAt: ErrorAt;
  /** Files named in the suite start here. */
  readonly folder: string;
}

/** Writes every default out and checks names, parameters and duplicates. Throws ERR_SUITE with the place in the file. */
export const resolveSuite = async (file: SuiteFile, context: ResolveContext): Promise<ResolvedSuite> => {
  const { id, version, question, model, seed, samples, tokenBudgets, protocols, chatTemplate } = file;
  const problem = problemsOf(context.errorAt);
  const lengths = (file.lengths ?? []).map((length) => parseLength(length)!);
  const keptFractions = file.keptFractions.map((fraction) => parseFraction(fraction)!);
  for (const [key, list] of Object.entries({ lengths, keptFractions, tokenBudgets, protocols })) {
    checkOnce(list, [key], problem);
  }
  const tasks = file.tasks.map((entry, i) => resolveTask(entry, ['tasks', i], context));
  checkOnce(
    tasks.map(({ name }) => name),
    ['tasks'],
    problem,
    'Give one of them another name: {id, name}.',
  );
  const unsized = tasks.findIndex((task) => task.lengths === undefined);
  if (lengths.length === 0 && unsized >= 0) {
    throw problem(
      ['tasks', unsized],
      'lengths, here or for the whole suite',
      tasks[unsized]!.name,
      'Add lengths: [4k].',
    );
  }
  const methods: MethodRef[] = [];
  for (const [i, entry] of file.methods.entries())
    methods.push(await resolveMethodEntry(entry, ['methods', i], context));
  checkOnce(
    methods.map(contentHash),
    ['methods'],
    problem,
    'Take one of them out.',
    methods.map(({ id }) => id),
  );
  const ids = methods.map((method) => method.id);
  const unclaimed = file.superiority?.findIndex((name) => !ids.includes(name)) ?? -1;
  if (unclaimed >= 0) {
    const name = file.superiority![unclaimed]!;
    throw problem(['superiority', unclaimed], 'a method of this suite', name, suggestName(name, ids));
  }
  const names = tasks.map(({ name }) => name);
  const untimed = file.timed?.tasks?.findIndex((name) => !names.includes(name)) ?? -1;
  if (untimed >= 0) {
    const name = file.timed!.tasks![untimed]!;
    throw problem(['timed', 'tasks', untimed], 'a task of this suite', name, suggestName(name, names));
  }
  const unbatched = file.timed?.batch?.methods?.findIndex((name) => !ids.includes(name)) ?? -1;
  if (unbatched >= 0) {
    const name = file.timed!.batch!.methods![unbatched]!;
    throw problem(['timed', 'batch', 'methods', unbatched], 'a method of this suite', name, suggestName(name, ids));
  }
  return {
    ...{ id, version, question, model, seed, samples, lengths, tasks, methods },
    ...{ keptFractions, tokenBudgets, protocols, chatTemplate },
    ...(file.timed === undefined ? {} : { timed: resolveTimed(file.timed) }),
    ...(file.superiority === undefined ? {} : { superiority: file.superiority }),
    exclude: file.exclude.map((entry, i) => {
      if (ids.includes(entry.method)) return resolveExclusion(entry);
      throw problem(['exclude', i, 'method'], 'a method of this suite', entry.method, suggestName(entry.method, ids));
    }),
  };
};

type Timed<T extends { timed?: unknown }> = NonNullable<T['timed']>;

const resolveTimed = ({ rounds, batch, ...timed }: Timed<SuiteFile>): Timed<ResolvedSuite> => ({
  ...timed,
  ...(batch === undefined ? {} : { batch: resolveBatch(batch) }),
  ...(rounds === undefined
    ? {}
    : { rounds: Object.fromEntries(Object.entries(rounds).map(([key, count]) => [String(parseLength(key)!), count])) }),
});

const resolveBatch = ({
  lengths,
  memory,
  ...batch
}: NonNullable<Timed<SuiteFile>['batch']>): NonNullable<Timed<ResolvedSuite>['batch']> => ({
  ...batch,
  ...(lengths === undefined ? {} : { lengths: lengths.map((length) => parseLength(length)!) }),
  ...(memory === undefined ? {} : { memoryBytes: parseMemory(memory)! }),
});

const problemsOf =
  (errorAt: ErrorAt) =>
  (path: Path, expected: string, actual: unknown, fix?: string): WinnowError =>
    errorAt({ path, expected, actual, isKey: false, ...(fix === undefined ? {} : { fix }) });

const checkOnce = (
  items: readonly (string | number)[],
  path: Path,
  problem: ReturnType<typeof problemsOf>,
  fix = 'Take one of them out.',
  shown: readonly (string | number)[] = items,
): void => {
  const again = items.findIndex((item, i) => items.indexOf(item) < i);
  if (again >= 0) throw problem([...path, again], 'each entry once', `${shown[again]} again`, fix);
};

type TaskEntry = SuiteFile['tasks'][number];

const resolveTask = (
  entry: TaskEntry,
  path: Path,
  { errorAt, folder }: ResolveContext,
): ResolvedSuite['tasks'][number] => {
  const {
    id,
    params = {},
    ask = 'answer',
    maxNewTokens,
    lengths,
    ...named
  } = typeof entry === 'string' ? { id: entry } : entry;
  const name = named.name ?? (ask === 'evidence' ? `${id}${EVIDENCE_SUFFIX}` : id);
  const problem = problemsOf(errorAt);
  const task = findTask(id);
  if (task === undefined) {
    const place = typeof entry === 'string' ? path : [...path, 'id'];
    throw problem(place, 'a known task', id, suggestName(id, taskIds()));
  }
  const sizes = lengths?.map((length) => parseLength(length)!);
  if (sizes !== undefined) checkOnce(sizes, [...path, 'lengths'], problem);
  const newTokens = maxNewTokens ?? (ask === 'evidence' ? EVIDENCE_TOKENS : task.maxNewTokens);
  return {
    id,
    name,
    params: checkParams(task.parameters, withFolder(params, folder) as object, [...path, 'params'], errorAt),
    ...(ask === 'evidence' ? { ask } : {}),
    ...(newTokens === undefined ? {} : { maxNewTokens: newTokens }),
    ...(sizes === undefined ? {} : { lengths: sizes }),
  };
};

/** Errors of loading (a missing file, a wrong hash) keep their own code and sentence. */
const checkParams = (
  schema: Parameters<typeof checkData>[0] | undefined,
  params: object,
  path: Path,
  errorAt: ErrorAt,
): Readonly<Record<string, unknown>> => {
  if (schema === undefined) return { ...params };
  const checked = checkData(schema, params);
  if ('value' in checked) return checked.value as Readonly<Record<string, unknown>>;
  throw errorAt({ ...checked.problem, path: [...path, ...checked.problem.path] });
};

/** A `file` inside parameters starts at the suite's folder; it is kept relative to where the command runs. */
const withFolder = (value: unknown, folder: string): unknown => {
  if (Array.isArray(value)) return value.map((item) => withFolder(item, folder));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [
      key,
      key === 'file' && typeof field === 'string' ? fileFrom(folder, field) : withFolder(field, folder),
    ]),
  );
};

const fileFrom = (folder: string, file: string): string => {
  const path = relative(process.cwd(), resolvePath(folder, file));
  return path.startsWith('.') ? path : `./${path}`;
};

type MethodEntry = SuiteFile['methods'][number];
interface MethodFields {
  readonly id?: string | undefined;
  readonly file?: string | undefined;
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  readonly profile?: string | undefined;
  readonly compose?: readonly (string | MethodFields)[] | undefined;
}

const resolveMethodEntry = async (entry: MethodEntry, path: Path, context: ResolveContext): Promise<MethodRef> => {
  const fields: MethodFields = typeof entry === 'string' ? { id: entry } : entry;
  if (fields.compose === undefined)
    return withProfile(await resolveOneMethod(entry, path, context), fields, path, context);
  const problem = problemsOf(context.errorAt);
  if (fields.file !== undefined) throw problem([...path, 'file'], 'either compose or file', fields.file);
  if (fields.profile !== undefined) throw problem([...path, 'profile'], 'either compose or profile', fields.profile);
  const parts: MethodRef[] = [];
  for (const [i, part] of fields.compose.entries()) {
    parts.push(await resolveOneMethod(part, [...path, 'compose', i], context));
  }
  const id = fields.id ?? parts.map((part) => part.id).join('+');
  return withParameters({ id, params: fields.params ?? {}, parts }, path, context);
};

/** The ref with its profile's path and hash: another profile is another method. */
const withProfile = (ref: MethodRef, { profile }: MethodFields, path: Path, context: ResolveContext): MethodRef => {
  if (profile === undefined) return ref;
  const from = fileFrom(context.folder, profile);
  try {
    return { ...ref, profile: from, profileSha256: sha256Hex(readFileSync(from)) };
  } catch (cause) {
    const fix = 'Write one with: winnow profile heads --method … --out …';
    throw problemsOf(context.errorAt)([...path, 'profile'], 'a file that can be read', (cause as Error).message, fix);
  }
};

const resolveOneMethod = async (
  entry: string | MethodFields,
  path: Path,
  context: ResolveContext,
): Promise<MethodRef> => {
  const { id, file, params = {} } = typeof entry === 'string' ? methodWord(entry) : entry;
  const problem = problemsOf(context.errorAt);
  if (file !== undefined) {
    const from = fileFrom(context.folder, file);
    return withParameters({ id: id ?? from, file: from, params }, path, context);
  }
  if (id === undefined) throw problem(path, 'an id, a file or compose', entry, 'Write {id: snapkv}.');
  const known = builtInMethods.map((method) => method.id);
  const unknown = id.split('+').find((word) => !known.includes(word) && !known.includes(id));
  if (unknown !== undefined) {
    const place = typeof entry === 'string' ? path : [...path, 'id'];
    throw problem(place, 'a known method, or a file ./mine.ts', unknown, suggestName(unknown, known));
  }
  return withParameters({ id, params }, path, context);
};

const methodWord = (word: string): MethodFields => (/[/\\]|\.[cm]?[jt]s$/.test(word) ? { file: word } : { id: word });

/** The ref with the method's own id where it has none, and its parameters with every default. */
const withParameters = async (ref: MethodRef, path: Path, { errorAt }: ResolveContext): Promise<MethodRef> => {
  let method: Awaited<ReturnType<typeof resolveMethod>>;
  try {
    method = await resolveMethod(ref);
  } catch (thrown) {
    const error = asWinnowError(thrown, ref.id);
    // A file that is missing or broken says so itself; parts that do not go together are a mistake of the suite.
    if (error.code !== 'ERR_COMPOSE') throw error;
    const said = error.message.replace(/^\[ERR_COMPOSE\] compose: e/, 'E');
    const ids = (ref.parts ?? []).map((part) => part.id).join(' + ');
    throw problemsOf(errorAt)([...path, 'compose'], 'parts that go together', ids, said);
  }
  const params = checkParams(method.parameters, ref.params, [...path, 'params'], errorAt);
  return { ...ref, id: ref.file === ref.id ? method.id : ref.id, params };
};

type Exclusion = SuiteFile['exclude'][number];

const resolveExclusion = ({ method, when, reason }: Exclusion): ResolvedSuite['exclude'][number] => {
  if (when === undefined) return { method, reason };
  const list = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);
  return {
    method,
    reason,
    when: {
      ...(when.task === undefined ? {} : { task: list(when.task) }),
      ...(when.length === undefined ? {} : { length: list(when.length).map((length) => parseLength(length)) }),
      ...(when.keptFraction === undefined
        ? {}
        : { keptFraction: list(when.keptFraction).map((one) => parseFraction(one)) }),
      ...(when.tokenBudget === undefined ? {} : { tokenBudget: list(when.tokenBudget) }),
      ...(when.protocol === undefined ? {} : { protocol: list(when.protocol) }),
      ...(when.params === undefined ? {} : { params: when.params }),
    },
  };
};
