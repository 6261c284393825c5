import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ExitCode, WinnowError } from '../core/errors.js';
import { openCheckpoint } from '../engine/checkpoint.js';
import { encoderFolder } from '../engine/encoder/manifest.js';
import { openEngine } from '../engine/index.js';
import { recordedFacts } from '../engine/models-inspect.js';
import { createTokenMeter } from '../engine/prompt-meter.js';
import { loadTokenizer, type Tokenizer } from '../engine/tokenizer.js';
import { loadCudaAddon } from '../native/cuda-addon.js';
import { loadAddon } from '../native/index.js';
import { createProgress } from '../results/progress.js';
import type { Report } from '../results/report.js';
import { runIdOf } from '../results/run-directory.js';
import { runConfiguration, runSuite, type SuiteRunOutcome } from '../suites/run.js';
import type { Values } from './command.js';
import { watchCuda } from './device-watch.js';
import { peakInChild } from './peak-memory.js';
import { shellCommand } from './shell-command.js';
import type { suiteFlags } from './suite-flags.js';
import { type PlannedSuite, planFromFlags } from './suite-plan.js';
import type { Terminal } from './terminal.js';
import { batchesTable, timingsOf, timingTable } from './timing-output.js';

export type RunValues = Values<typeof suiteFlags> & {
  readonly suite: string;
  readonly trace: readonly string[] | undefined;
  readonly out: string | undefined;
};

const runsFolder = fileURLToPath(new URL('../results/runs', import.meta.url));

/** `winnow run`: plans, runs what is not there yet, reports. Exit code 1 when cells failed, 130 when interrupted. */
export const runFromFlags = async (values: RunValues, terminal: Terminal): Promise<ExitCode> => {
  const planned = await planFromFlags(values.suite, values, terminal, { fetchData: true });
  const command = shellCommand(['npx', 'winnow', ...process.argv.slice(2)]);
  const { dir, outcome } = await runPlanned(planned, values, command, terminal);
  return finish(dir, planned, outcome, values, terminal);
};

/** Runs a plan into its directory; what is done with the outcome is the caller's. */
export const runPlanned = async (
  planned: PlannedSuite,
  values: Pick<RunValues, 'trace' | 'out' | 'pass'>,
  command: string,
  terminal: Terminal,
): Promise<{ dir: string; outcome: SuiteRunOutcome }> => {
  const { loaded, plan, model, options } = planned;
  if (plan.cells.length === 0) {
    throw new WinnowError(
      'ERR_SUITE',
      loaded.file,
      'at least one cell',
      'none',
      'The flags and exclusions leave nothing to run.',
    );
  }
  // A missing encoder would fail cell by cell, hours later.
  for (const method of loaded.suite.methods)
    for (const encoder of planned.factsOf(method).encoders) await encoderFolder(encoder);
  const traceKept = values.trace !== undefined;
  const configuration = runConfiguration(loaded, plan, { id: model.id, sha256: model.sha256 }, options, traceKept);
  const id = runIdOf(loaded.suite.id, configuration);
  const dir = path.resolve(values.out ?? path.join(runsFolder, id));
  terminal.note(
    `${loaded.suite.id} v${loaded.suite.version} on ${model.id}: ${plan.cells.length} cells of ${plan.samplesPerCell} samples, in ${dir}`,
  );
  try {
    const outcome = await runSuite({
      ...planned,
      dir,
      id,
      configuration,
      header: headerOf(planned, command),
      pass: values.pass ?? 'accuracy',
      traceKept,
      openEngine: () => openEngine(model.path, options, { id: model.id, sha256: model.sha256 }),
      openMeter: () => createTokenMeter(loadTokenizer(model.path), loaded.suite.chatTemplate),
      // A device has counters of its own; a second process would have to load all weights again.
      peakOf: async (request) =>
        options.backend === 'cuda' ? undefined : peakInChild({ path: model.path, options, request }, terminal.signal),
      ...(options.backend === 'cuda' ? { device: watchCuda(model.path) } : {}),
      createProgress: (total) =>
        createProgress({
          stream: process.stderr,
          isTty: process.stderr.isTTY === true,
          columns: process.stderr.columns ?? 80,
          total,
        }),
      signal: terminal.signal,
    });
    return { dir, outcome };
  } catch (error) {
    if (terminal.signal.aborted) throw interrupted(dir, command);
    terminal.note(`Finished cells and samples are in ${dir}. To continue: ${command}`);
    throw error;
  }
};

const interrupted = (dir: string, command: string): WinnowError =>
  new WinnowError(
    'ERR_INTERRUPTED',
    dir,
    'to finish',
    'an interrupt',
    `What was finished is saved. To continue: ${command}`,
  );

const headerOf = ({ loaded, model, options, datasets }: PlannedSuite, command: string) => {
  const tokenizer = loadTokenizer(model.path);
  return {
    command,
    model: { id: model.id, sha256: model.sha256, bytes: model.bytes, facts: factsOfModel(model.path, tokenizer) },
    suite: {
      id: loaded.suite.id,
      version: loaded.suite.version,
      fileSha256: loaded.fileSha256,
      resolvedSha256: loaded.sha256,
      resolved: JSON.parse(JSON.stringify(loaded.suite)),
    },
    seeds: { suite: loaded.suite.seed },
    tokenizer: tokenizer.name,
    ...(datasets.length === 0 ? {} : { datasets: [...datasets] }),
    numerics: options.numerics,
    backend: options.backend,
    ...machineOf(options),
  };
};

const factsOfModel = (file: string, { chatTemplate }: Tokenizer) => {
  const checkpoint = openCheckpoint(file);
  try {
    return recordedFacts(checkpoint, chatTemplate);
  } finally {
    checkpoint.close();
  }
};

/** What `auto` and `all cores` mean here. */
const machineOf = ({ isa, threads, backend }: PlannedSuite['options']) => {
  const facts = loadAddon().cpuFacts();
  if (backend === 'cuda') {
    const device = loadCudaAddon().deviceFacts?.();
    return {
      isa: device?.architecture ?? backend,
      threads: threads > 0 ? threads : facts.cores,
      ...(device === undefined ? {} : { device }),
    };
  }
  if (backend === 'ort') return { isa: 'onnxruntime', threads: threads > 0 ? threads : facts.cores };
  return { isa: isa === 'auto' ? (facts.isas[0] ?? 'scalar') : isa, threads: threads > 0 ? threads : facts.cores };
};

const finish = async (
  dir: string,
  { plan }: PlannedSuite,
  outcome: SuiteRunOutcome,
  values: RunValues,
  terminal: Terminal,
): Promise<ExitCode> => {
  const [{ reportRun }, { printReport, reportDocument }] = await Promise.all([
    import('../results/report.js'),
    import('./run-output.js'),
  ]);
  const report = await reportRun(dir);
  const failed = failuresOf(report);
  const timings = values.pass === 'timing' || values.pass === 'both' ? timingsOf(dir, plan.groups) : undefined;
  if (values.json) {
    const timed = timings === undefined ? {} : { timings };
    terminal.printJson({ ...summaryOf(outcome, report), ...reportDocument(dir, report), ...timed, failed });
  } else {
    await printReport(report, terminal);
    if (timings !== undefined) terminal.print(`\nTimes, medians of interleaved rounds:\n${timingTable(timings)}`);
    const batches = batchesTable(timings ?? []);
    if (batches !== undefined) terminal.print(`\nRows that decode together:\n${batches}`);
  }
  for (const { cell, message } of outcome.untimed) {
    terminal.note(`No time for ${cell.method.id} on ${cell.taskName}, ${cell.contextLength}: ${message}`);
  }
  if (outcome.cells.finished < outcome.cells.planned) {
    terminal.note('cells.csv has rows, with these times in them, once the accuracy pass has run: --pass both.');
  }
  if (failed.length === 0) return 0;
  terminal.note(`\n${failed.length} of ${outcome.cells.planned} cells failed:`);
  for (const { task, contextLength, method, budget, error } of failed) {
    terminal.note(`  ${[task, contextLength, method, budget].filter((word) => word !== '').join(' ')}: ${error}`);
  }
  return 1;
};

const failuresOf = ({ summary }: Report) =>
  summary.cells
    .filter(({ record }) => record.status === 'failed' || record.status === 'out-of-memory')
    .map(({ facts, record, series, budget }) => ({
      cellId: facts.cellId,
      task: facts.taskName,
      contextLength: facts.contextLength,
      method: series,
      budget,
      error: record.error?.message ?? record.status,
    }));

const summaryOf = ({ resumed, cells, counts }: SuiteRunOutcome, { summary: { run, cells: records } }: Report) => ({
  id: run.id,
  status: run.status,
  resumed,
  cells: {
    ...cells,
    ok: records.filter(({ record }) => record.status === 'ok').length,
    failed: records.filter(({ record }) => record.status === 'failed').length,
    unsupported: records.filter(({ record }) => record.status === 'unsupported').length,
    outOfMemory: records.filter(({ record }) => record.status === 'out-of-memory').length,
  },
  prefills: counts.prefills,
  prefillsUnshared: counts.prefillsUnshared,
  engineOverheadShare: run.engineOverheadShare ?? null,
});
