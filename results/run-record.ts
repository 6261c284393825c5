import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { contentHash, describeDifferences } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { intervalStatistics } from './aggregate.js';
import { readLoad } from './machine.js';
import type { Provenance } from './provenance.js';
import { readRunRecord, runPaths } from './run-files.js';
import { isLockFile } from './run-lock.js';
import { type RunCounts, type RunHeader, type RunRecord, type RunStatus, runSchema } from './schema.js';

/** What a run is, apart from where and when it runs. */
export interface RunIdentity {
  readonly id: string;
  /** Everything that decides a result, fully resolved, as plain JSON. The same folder with another configuration is refused. */
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly header: RunHeader;
}

/** Counts as they may stand in a journal line. */
export type PartialCounts = { readonly [K in keyof RunCounts]?: number | undefined };

export const addCounts = (a: RunCounts, b: PartialCounts): RunCounts => ({
  prefills: a.prefills + (b.prefills ?? 0),
  prefillsUnshared: a.prefillsUnshared + (b.prefillsUnshared ?? 0),
  nativeMs: a.nativeMs + (b.nativeMs ?? 0),
  totalMs: a.totalMs + (b.totalMs ?? 0),
});

export const firstRecord = (
  { id, configuration, header }: RunIdentity,
  provenance: Provenance,
  now: () => Date,
): RunRecord =>
  runSchema.parse({
    schemaVersion: 1,
    id,
    status: 'running',
    createdAt: now().toISOString(),
    configurationSha256: contentHash(configuration),
    configuration,
    ...header,
    ...provenance,
    load: readLoad(),
    continuations: [],
    statistics: intervalStatistics,
    prefills: 0,
    prefillsUnshared: 0,
    nativeMs: 0,
    totalMs: 0,
  });

/** Notes a start by other code or on another machine; a start like the first leaves no trace. */
export const continued = (record: RunRecord, provenance: Provenance, now: () => Date): RunRecord => {
  const { code, machine, software } = record.continuations.at(-1) ?? record;
  if (contentHash({ code, machine, software }) === contentHash(provenance)) return record;
  return { ...record, continuations: [...record.continuations, { startedAt: now().toISOString(), ...provenance }] };
};

export const reopened = (record: RunRecord): RunRecord => {
  const { finishedAt: _, failure: __, ...kept } = record;
  return { ...kept, status: 'running' };
};

export const closedRecord = (
  record: RunRecord,
  status: RunStatus,
  counts: RunCounts,
  at: Date,
  failure?: string,
): RunRecord => {
  const { finishedAt: _, engineOverheadShare: __, failure: ___, ...kept } = record;
  return {
    ...kept,
    ...counts,
    status,
    ...(status === 'failed' && failure !== undefined ? { failure } : {}),
    ...(status === 'finished' ? { finishedAt: at.toISOString() } : {}),
    ...(counts.totalMs > 0 ? { engineOverheadShare: Math.max(0, 1 - counts.nativeMs / counts.totalMs) } : {}),
  };
};

export const refuseOtherConfiguration = (dir: string, { configuration }: RunIdentity): void => {
  const stored = readRunRecord(dir);
  if (contentHash(stored.configuration) !== stored.configurationSha256) {
    throw new WinnowError(
      'ERR_RECORD',
      runPaths(dir).run,
      `a configuration with sha256 ${stored.configurationSha256}`,
      contentHash(stored.configuration),
      'The record is damaged: restore it, or choose another folder with --out.',
    );
  }
  if (stored.configurationSha256 === contentHash(configuration)) return;
  const differences = describeDifferences(stored.configuration, configuration).join('; ');
  throw new WinnowError(
    'ERR_RECORD',
    dir,
    'a run of the same configuration',
    differences,
    'Choose another folder with --out, or give the flags of the first command to continue it.',
  );
};

/** A folder without run.json may hold only what a start that was killed leaves. */
export const refuseForeignFolder = (dir: string): void => {
  const foreign = readdirSync(dir).find(
    (name) =>
      !(isLockFile(name) || name.startsWith('.tmp-') || ['cells', 'samples', 'timings', 'charts'].includes(name)),
  );
  if (foreign !== undefined)
    throw new WinnowError(
      'ERR_RECORD',
      dir,
      'an empty folder or a run directory',
      join(dir, foreign),
      'Choose another folder with --out.',
    );
};

export const refuseFinished = (finished: ReadonlySet<string>, id: string, path: string): void => {
  if (finished.has(id))
    throw new WinnowError(
      'ERR_RECORD',
      path,
      'a cell that is not finished',
      id,
      'Finished records are never overwritten: choose another folder with --out.',
    );
};
