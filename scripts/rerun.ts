import path from 'node:path';
import { contentHash, describeDifferences } from '../core/canonical-json.js';
import { type ExitCode, WinnowError } from '../core/errors.js';
import type { OpenOptions } from '../engine/contract.js';
import { defaultOpenOptions } from '../engine/index.js';
import { collectProvenance } from '../results/provenance.js';
import { repeatDifferences } from '../results/repeat.js';
import { reportRun } from '../results/report.js';
import type { RunRecord } from '../results/schema.js';
import { summariseRun } from '../results/summary.js';
import type { ResolvedSuite } from '../suites/contract.js';
import { runPlanned } from './run-suite.js';
import { shellCommand } from './shell-command.js';
import { planLoaded } from './suite-plan.js';
import type { Terminal } from './terminal.js';

export interface RerunValues {
  readonly dir: string;
  readonly out: string | undefined;
  readonly model: string | undefined;
  readonly acceptLicence: readonly string[] | undefined;
  readonly json: boolean;
}

/**
 * `winnow rerun`: the same resolved configuration again in a new directory, then cell by cell what came out otherwise. Exit code 0 when
 * every quantity but times is the same, else 1.
 */
export const rerun = async (
  { dir, out, model, acceptLicence, json }: RerunValues,
  terminal: Terminal,
): Promise<ExitCode> => {
  const before = summariseRun(dir);
  const { run } = before;
  if (run.status !== 'finished')
    throw new WinnowError('ERR_RECORD', dir, 'a finished run', run.status, `Finish it first: ${run.command}`);
  const resolved = run.suite.resolved as unknown as ResolvedSuite;
  const suite = model === undefined ? resolved : { ...resolved, model };
  const loaded = {
    suite,
    sha256: contentHash(suite),
    file: path.join(dir, 'run.json'),
    fileSha256: run.suite.fileSha256,
  };
  const planned = await planLoaded(
    loaded,
    { options: optionsOf(run), accepted: acceptLicence, fetchData: true },
    terminal,
  );
  if (planned.model.sha256 !== run.model.sha256)
    throw new WinnowError(
      'ERR_CHECKSUM',
      planned.model.path,
      `the model of the run, sha256 ${run.model.sha256}`,
      planned.model.sha256,
      'Give the right file with --model.',
    );
  const now = collectProvenance();
  const changed = [
    ...describeDifferences(run.code, knownThen(run.code, now.code), 6),
    ...describeDifferences(run.machine, knownThen(run.machine, now.machine), 6),
    ...describeDifferences(run.software, knownThen(run.software, now.software), 6),
  ];
  for (const line of changed) terminal.note(`Other than then: ${line}`);
  const target = out ?? `${path.resolve(dir)}-rerun`;
  const command = shellCommand(['npx', 'winnow', ...process.argv.slice(2)]);
  const { dir: written } = await runPlanned(
    planned,
    { out: target, pass: 'accuracy', trace: traceOf(run) },
    command,
    terminal,
  );
  const { summary: after } = await reportRun(written);
  const differences = repeatDifferences(before, after);
  const same = before.cells.length - differences.length;
  if (json) terminal.printJson({ dir: written, cells: before.cells.length, same, changed, differences });
  else {
    for (const { task, contextLength, setting, differences: found } of differences)
      terminal.print(
        `${task} ${contextLength} ${setting}: ${found.map((one) => `${one.quantity} ${shown(one.before)} -> ${shown(one.after)}`).join(', ')}`,
      );
    terminal.print(
      `${same} of ${before.cells.length} cells are the same in every quantity but times. Written to ${written}.`,
    );
    if (differences.length > 0 && run.numerics === 'native')
      terminal.note('Native numerics differ between instruction sets; reference numerics give the same bits anywhere.');
  }
  return differences.length === 0 ? 0 : 1;
};

/** What an older record does not hold is no change. */
const knownThen = (then: object, now: object): object =>
  Object.fromEntries(Object.entries(now).filter(([name]) => name in then));

const optionsOf = ({ configuration }: RunRecord): OpenOptions => ({
  ...defaultOpenOptions,
  ...(configuration.engine as Partial<OpenOptions> | undefined),
});

const traceOf = ({ configuration }: RunRecord): readonly string[] | undefined =>
  configuration.traceKept === true ? ['kept'] : undefined;

const shown = (value: unknown): string => (value === undefined ? 'nothing' : String(value));
