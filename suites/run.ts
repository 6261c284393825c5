import { asWinnowError, WinnowError } from '../core/errors.js';
import type { Engine, OpenOptions, TimingRequest } from '../engine/contract.js';
import type { Progress } from '../results/progress.js';
import { openRun, type Run } from '../results/run-directory.js';
import type { CellFacts, RunHeader } from '../results/schema.js';
import type { PlannedCell, Sample, Task, TokenMeter } from './contract.js';
import { askForEvidence, EVIDENCE_SCORER, evidenceMeter } from './evidence-question.js';
import type { MethodFacts } from './method-facts.js';
import type { Plan } from './plan.js';
import { type GroupRun, type RunSink, runGroup } from './run-cells.js';
import { type CellGroup, labelOf, workOfSample } from './run-groups.js';
import { sampleRequest } from './run-requests.js';
import type { DeviceWatch } from './run-timing.js';
import { scorerById, scoreSample } from './scorers/index.js';
import type { LoadedSuite } from './suite-file.js';
import { findTask } from './tasks/index.js';
import { runTiming } from './timing-passes.js';

export interface SuiteRunOptions {
  readonly loaded: LoadedSuite;
  readonly plan: Plan;
  readonly dir: string;
  readonly id: string;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly header: RunHeader;
  readonly pass: 'accuracy' | 'timing' | 'both';
  readonly traceKept: boolean;
  factsOf(method: PlannedCell['method']): MethodFacts;
  /** Called once, when the first sample needs it: a finished run opens no model. */
  openEngine(): Promise<Engine>;
  openMeter(): TokenMeter;
  peakOf(request: TimingRequest): Promise<number | undefined>;
  /** Of a device that is not the host; called before and after a pass. */
  readonly device?: DeviceWatch;
  createProgress(total: number): Progress;
  readonly signal?: AbortSignal;
}

export interface SuiteRunOutcome {
  readonly resumed: boolean;
  /** Cells by the status of their records; `pending` only before the accuracy pass has run. */
  readonly cells: { readonly planned: number; readonly finished: number };
  readonly counts: Run['counts'];
  readonly untimed: readonly { readonly cell: PlannedCell; readonly message: string }[];
}

/**
 * Runs the cells of a plan into a run directory, or what of them is not there yet.
 *
 * Throws what ends a run: ERR_INTERRUPTED or AbortError, ERR_DISK, and what opening the folder or the model throws. Finished cells and
 * samples are on disk then; a setting that fails is a record, not an exception.
 */
export const runSuite = async (options: SuiteRunOptions): Promise<SuiteRunOutcome> => {
  const { plan, pass } = options;
  const run = openRun(options);
  const late = openLate(options);
  const untimed: { cell: PlannedCell; message: string }[] = [];
  let status: 'finished' | 'interrupted' | 'failed' = 'failed';
  let failure: string | undefined;
  try {
    if (pass !== 'timing') await runAccuracy(options, run, late);
    if (pass !== 'accuracy') untimed.push(...(await runTiming(options, run, late)));
    status = plan.cells.every(({ cellId }) => run.finished.has(cellId)) ? 'finished' : 'interrupted';
  } catch (error) {
    if (options.signal?.aborted === true || isInterrupt(error)) status = 'interrupted';
    else failure = asWinnowError(error, 'run').code;
    throw error;
  } finally {
    await late.close();
    closeQuietly(run, status, failure);
  }
  const finished = plan.cells.filter(({ cellId }) => run.finished.has(cellId)).length;
  return { resumed: run.resumed, cells: { planned: plan.cells.length, finished }, counts: run.counts, untimed };
};

const isInterrupt = (error: unknown): boolean => error instanceof WinnowError && error.code === 'ERR_INTERRUPTED';

/** When the disk is full, the error that ended the run is the one to tell, and the journal already holds everything. */
const closeQuietly = (run: Run, status: 'finished' | 'interrupted' | 'failed', failure: string | undefined): void => {
  try {
    run.close(status, failure);
  } catch (error) {
    if (status === 'finished') throw error;
  }
};

/** What runs need of a model, opened when first asked for. */
export interface Late {
  engine(): Promise<Engine>;
  samplesOf(group: CellGroup, count: number): Iterable<Sample>;
  close(): Promise<void>;
}

const openLate = (options: SuiteRunOptions): Late => {
  const { suite } = options.loaded;
  let engine: Promise<Engine> | undefined;
  let meter: TokenMeter | undefined;
  return {
    engine() {
      engine ??= options.openEngine();
      return engine;
    },
    samplesOf(group, samples) {
      meter ??= options.openMeter();
      const entry = suite.tasks.find(({ name }) => name === group.taskName);
      const task = taskOf(group);
      if (entry === undefined) throw new WinnowError('ERR_INTERNAL', 'run', 'a task of the suite', group.taskName);
      const params = task.parse(entry.params);
      const room = entry.maxNewTokens === undefined ? {} : { maxNewTokens: entry.maxNewTokens };
      const order = { params, length: group.contextLength, samples, seed: suite.seed, ...room };
      if (entry.ask === undefined) return task.generate({ ...order, meter });
      return asEvidence(entry.name, task.generate({ ...order, meter: evidenceMeter(meter) }));
    },
    async close() {
      const opened = await engine?.catch(() => undefined);
      await opened?.close();
    },
  };
};

function* asEvidence(name: string, samples: Iterable<Sample>): Generator<Sample> {
  for (const sample of samples) yield askForEvidence(name, sample);
}

const taskOf = (group: CellGroup): Task => {
  const id = group.cells[0]!.task;
  const task = findTask(id);
  if (task === undefined) throw new WinnowError('ERR_INTERNAL', 'run', 'a known task', id);
  return task;
};

const runAccuracy = async (options: SuiteRunOptions, run: Run, late: Late): Promise<void> => {
  const { plan, loaded, signal } = options;
  const samples = loaded.suite.samples;
  const workOf = (group: CellGroup): number => samples * workOfSample(group.contextLength, group.cells.length);
  const progress = options.createProgress(plan.groups.reduce((sum, group) => sum + workOf(group), 0));
  try {
    for (const group of plan.groups) {
      if (group.cells.every(({ cellId }) => run.finished.has(cellId))) {
        progress.skip(workOf(group));
        continue;
      }
      progress.group(labelOf(group));
      let left = workOf(group);
      const share = left / samples;
      await runGroup({
        group,
        samples: late.samplesOf(group, samples),
        engine: await late.engine(),
        sink: sinkOf(options, run),
        requestOf: (sample, cells) => sampleRequest(loaded.suite, group, sample, cells, options.traceKept),
        scoreOf: scoreOf(loaded, group),
        ...stepsOf(loaded, group),
        onSample({ settings }) {
          left -= share;
          if (settings === 0) progress.skip(share);
          else progress.advance(share);
        },
        ...(signal === undefined ? {} : { signal }),
      });
      progress.skip(left);
    }
    progress.end();
  } catch (error) {
    progress.end(true);
    throw error;
  }
};

const stepsOf = ({ suite }: LoadedSuite, group: CellGroup): Pick<GroupRun, 'stepsOf'> => {
  const { steps } = scorerById(scorerOf(suite, group));
  return steps === undefined ? {} : { stepsOf: (sample, { text }) => steps(text, sample) };
};

const scorerOf = (suite: LoadedSuite['suite'], group: CellGroup): string => {
  const asksEvidence = suite.tasks.some(({ name, ask }) => name === group.taskName && ask === 'evidence');
  return asksEvidence ? EVIDENCE_SCORER : taskOf(group).scorer;
};

const scoreOf = ({ suite }: LoadedSuite, group: CellGroup): GroupRun['scoreOf'] => {
  const scorer = scorerOf(suite, group);
  return (sample, { text, given }) => scoreSample(scorer, sample, text, given);
};

const sinkOf = (options: SuiteRunOptions, run: Run): RunSink => {
  const cells = new Map(options.plan.cells.map((cell) => [cell.cellId, cell]));
  return {
    isFinished: (cellId) => run.finished.has(cellId),
    sampleOf: (cellId, sampleId) => run.sampleOf(cellId, sampleId),
    append: ({ samples, counts }) => run.appendPrompt(samples, counts),
    finishCell(cellId) {
      const cell = cells.get(cellId)!;
      run.finishCell({
        ...cell,
        method: recordedMethod(cell.method),
        ...options.factsOf(cell.method).record,
        ...taskFacts(options.loaded, cell),
      });
    },
  };
};

const taskFacts = ({ suite }: LoadedSuite, cell: PlannedCell): Pick<CellFacts, 'chance' | 'ask'> => {
  const { ask, params } = suite.tasks.find(({ name }) => name === cell.taskName)!;
  const task = findTask(cell.task)!;
  // Guessed documents score next to nothing.
  if (ask === 'evidence') return { ask, chance: 0 };
  const chance = typeof task.chance === 'function' ? task.chance(task.parse(params)) : task.chance;
  return chance === undefined ? {} : { chance };
};

/** The ref as it stands in records: plain data. */
const recordedMethod = (method: PlannedCell['method']) => JSON.parse(JSON.stringify(method));

/** Everything that decides a result. Another value is another run: finished records are never mixed with others. */
export const runConfiguration = (
  loaded: LoadedSuite,
  plan: Plan,
  model: { readonly id: string; readonly sha256: string },
  engine: OpenOptions,
  traceKept: boolean,
): Record<string, unknown> => ({
  suite: loaded.suite,
  model,
  engine,
  traceKept,
  cells: plan.cells.map(({ cellId }) => cellId),
});
