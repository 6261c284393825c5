import { canonicalJson } from '../../core/canonical-json.js';
import { WinnowError } from '../../core/errors.js';
import type { CellWithSamples, RunRecords } from '../run-records.js';
import type { CellFacts, MethodRecord, ScoredSample } from '../schema.js';

/** What a cell measures, apart from who measured it: equal keys in two runs are the same question. */
export const cellKey = (cell: CellFacts): string =>
  canonicalJson([cell.taskName, cell.contextLength, cell.protocol, settingKey(cell)]);

/** Method with all parameters, and budget. A file of the user's own is known by its path, whatever it holds now. */
export const settingKey = ({ method, keptFraction, tokenBudget }: CellFacts): string =>
  canonicalJson([methodKey(method), keptFraction ?? null, tokenBudget ?? null]);

const methodKey = ({ id, params, parts }: MethodRecord): unknown => [id, params, (parts ?? []).map(methodKey)];

export interface PairedSample {
  /** Task and sample: the same sample at another length, or asked for something else, rises and falls with this one. */
  readonly cluster: string;
  readonly ours: ScoredSample;
  readonly theirs: ScoredSample;
}

/**
 * Samples that both cells scored, in their order.
 *
 * Throws: ERR_INCOMPARABLE — a sample of the same id asks for something else.
 */
export const pairSamples = (ours: CellWithSamples, theirs: CellWithSamples): PairedSample[] => {
  const known = new Map(theirs.samples.map((sample) => [sample.sampleId, sample]));
  return [...ours.samples]
    .sort((a, b) => a.index - b.index)
    .flatMap((sample) => {
      const other = known.get(sample.sampleId);
      if (sample.status !== 'ok' || other?.status !== 'ok') return [];
      refuseOtherSample(sample, other, ours.record.cell);
      return [{ cluster: `${ours.record.cell.task} ${sample.sampleId}`, ours: sample, theirs: other }];
    });
};

const refuseOtherSample = (ours: ScoredSample, theirs: ScoredSample, cell: CellFacts): void => {
  const where = `${cell.taskName}, ${cell.contextLength}, sample ${ours.sampleId}`;
  const fix = 'The task or its data changed between the runs: run both sides with one version.';
  const [a, b] = [ours, theirs].map(({ references }) => canonicalJson(references));
  if (a !== b) throw new WinnowError('ERR_INCOMPARABLE', where, `references ${b}`, a, fix);
  // Of dense both prompts are whole; methods may cut theirs.
  if (cell.method.id === 'dense' && ours.contextTokens !== theirs.contextTokens)
    throw new WinnowError('ERR_INCOMPARABLE', where, `${theirs.contextTokens} context tokens`, ours.contextTokens, fix);
};

/**
 * Refuses two runs that do not ask the same questions in the same way: another suite, version, seed, chat template, or another definition of
 * a task that both have. Model, numerics, machine and code may differ: they are what is compared, and `differencesOf` names them.
 *
 * Throws: ERR_INCOMPARABLE — with the first thing that differs.
 */
export const refuseOtherProtocol = (ours: RunRecords, theirs: RunRecords): void => {
  const [a, b] = [ours.run.suite, theirs.run.suite];
  const refuse = (what: string, expected: unknown, actual: unknown): never => {
    throw new WinnowError(
      'ERR_INCOMPARABLE',
      `${ours.dir} beside ${theirs.dir}`,
      `${what} ${canonicalJson(expected ?? null)}`,
      typeof actual === 'object' ? canonicalJson(actual) : actual,
      'Only runs of one protocol can be compared: run both sides with the same suite, seed and template.',
    );
  };
  if (a.id !== b.id) refuse('suite', b.id, a.id);
  if (a.version !== b.version) refuse(`version of suite ${b.id}`, b.version, a.version);
  for (const key of ['seed', 'chatTemplate'] as const)
    if (canonicalJson(a.resolved[key] ?? null) !== canonicalJson(b.resolved[key] ?? null))
      refuse(key, b.resolved[key], a.resolved[key]);
  const tasks = new Map(tasksOf(theirs).map((task) => [task.name, task]));
  for (const task of tasksOf(ours)) {
    const other = tasks.get(task.name);
    if (other !== undefined && canonicalJson(other.definition) !== canonicalJson(task.definition))
      refuse(`task ${task.name} as`, other.definition, task.definition);
  }
};

/** Lengths are part of the cells, so they may differ. */
const tasksOf = ({ run }: RunRecords): { readonly name: string; readonly definition: unknown }[] => {
  const { tasks } = run.suite.resolved;
  if (!Array.isArray(tasks)) return [];
  return tasks.map((task) => {
    if (typeof task !== 'object' || task === null || Array.isArray(task))
      return { name: String(task), definition: task };
    const { lengths: _, ...definition } = task;
    return { name: String(task.name), definition };
  });
};

/** What differs between two runs that may be compared, as `numerics: native -> reference`, for the head of a table. */
export const differencesOf = ({ run: base }: RunRecords, { run: ours }: RunRecords): string[] => {
  const facts = (run: typeof base): Record<string, string> => ({
    model: `${run.model.id} ${run.model.sha256.slice(0, 12)}`,
    numerics: run.numerics,
    backend: run.backend,
    isa: run.isa,
    threads: String(run.threads),
    cpu: run.machine.cpu,
    device: run.device?.name ?? 'none',
    code: `${run.code.version}${run.code.commit === undefined ? '' : ` ${run.code.commit.slice(0, 12)}`}${run.code.dirty === true ? ' with changes' : ''}`,
  });
  const [before, after] = [facts(base), facts(ours)];
  return Object.keys(before).flatMap((key) =>
    before[key] === after[key] ? [] : [`${key}: ${before[key]} -> ${after[key]}`],
  );
};
