import { asWinnowError } from '../core/errors.js';
import type { Engine, TimingRequest } from '../engine/contract.js';
import { readLoad } from '../results/machine.js';
import type { Run } from '../results/run-directory.js';
import type { PlannedCell } from './contract.js';
import type { Late, SuiteRunOptions } from './run.js';
import { isBatched, timeBatchesOf } from './run-batches.js';
import { type CellGroup, labelOf } from './run-groups.js';
import { settingOf, timingRequest } from './run-requests.js';
import { TIMED_ROUNDS, TIMED_TOKENS, timeGroup } from './run-timing.js';
import type { LoadedSuite } from './suite-file.js';

/** The timing passes of a plan that are not in its directory yet, one for each group. Returns the cells without times, and why. */
export const runTiming = async (
  options: Pick<SuiteRunOptions, 'plan' | 'loaded' | 'signal' | 'createProgress' | 'device' | 'peakOf'>,
  run: Pick<Run, 'finishedPasses' | 'finishPass'>,
  late: Pick<Late, 'engine' | 'samplesOf'>,
): Promise<{ cell: PlannedCell; message: string }[]> => {
  const { plan, loaded } = options;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const { rounds: roundsAt, warmUp = 'every', batch } = loaded.suite.timed ?? {};
  const untimed: { cell: PlannedCell; message: string }[] = [];
  const groups = plan.groups.filter((group) => isTimed(loaded.suite, group));
  const progress = options.createProgress(groups.reduce((sum, { cells }) => sum + cells.length, 0));
  let isCold = options.device !== undefined;
  try {
    for (const group of groups) {
      const passId = passIdOf(group);
      if (run.finishedPasses.has(passId)) {
        progress.skip(group.cells.length);
        continue;
      }
      progress.group(`${labelOf(group)}, timing`);
      const [sample] = late.samplesOf(group, 1);
      if (sample === undefined) continue;
      if (isCold)
        await warmUpProcess(
          await late.engine(),
          timingRequest(loaded.suite, group, sample, settingOf(group.cells[0]!)),
          options.signal,
        );
      isCold = false;
      const rounds = roundsAt?.[group.contextLength] ?? TIMED_ROUNDS;
      const before = readLoad();
      const watched = options.device?.begin();
      const shared = {
        sample,
        engine: await late.engine(),
        ...(options.device === undefined ? {} : { device: options.device }),
        onUntimed: (cell: PlannedCell, { message }: Error) => untimed.push({ cell, message }),
        ...signal,
      };
      const timings = await timeGroup({
        ...shared,
        group,
        requestOf: (one, setting) => timingRequest(loaded.suite, group, one, setting),
        settingOf,
        peakOf: options.peakOf,
        rounds,
        warmUp,
      });
      const timedIds = new Set(timings.map(({ cellId }) => cellId));
      const batched = batch === undefined ? [] : group.cells.filter((cell) => isBatched(batch, cell));
      const batches = await timeBatchesOf({
        ...shared,
        cells: batched.filter(({ cellId }) => timedIds.has(cellId)),
        requestOf: (cell) => ({
          ...timingRequest(loaded.suite, group, sample, settingOf(cell)),
          sizes: batch?.sizes ?? [],
          ...(batch?.memoryBytes === undefined ? {} : { memoryBytes: batch.memoryBytes }),
        }),
      });
      run.finishPass(passId, timings, {
        load: { before, after: readLoad() },
        ...(watched === undefined ? {} : { device: watched.after() }),
        protocol: {
          ...{ warmups: 1, rounds, tokens: TIMED_TOKENS, order: 'interleaved' as const },
          ...(warmUp === 'first' ? { warmUp } : {}),
          ...(options.device === undefined ? {} : { processWarmUpTokens: PROCESS_WARM_UP_TOKENS }),
        },
        ...(batches.length === 0 ? {} : { batches }),
      });
      progress.advance(group.cells.length);
    }
    progress.end();
  } catch (error) {
    progress.end(true);
    throw error;
  }
  return untimed;
};

/** The host's own code takes so many decode steps until it is compiled; beside a device's work they show. */
export const PROCESS_WARM_UP_TOKENS = 96;

/** Decodes once before anything is timed. A setting that cannot be run says so when it is timed. */
const warmUpProcess = async (
  engine: Pick<Engine, 'time'>,
  request: TimingRequest,
  signal: AbortSignal | undefined,
): Promise<void> => {
  try {
    await engine.time({ ...request, maxNewTokens: PROCESS_WARM_UP_TOKENS }, signal);
  } catch (thrown) {
    const { code } = asWinnowError(thrown, 'warm-up');
    if (code === 'ERR_INTERRUPTED' || code === 'ERR_INTERNAL') throw thrown;
  }
};

const isTimed = ({ timed }: LoadedSuite['suite'], { taskName, protocol }: CellGroup): boolean =>
  (timed?.tasks?.includes(taskName) ?? true) && (timed?.protocols?.includes(protocol) ?? true);

/** The name of a group's timing pass in the run directory. */
export const passIdOf = ({ taskName, contextLength, protocol }: CellGroup): string =>
  `timing-${taskName}-${contextLength}-${protocol}`.replaceAll(/[^A-Za-z0-9._-]/g, '-');
