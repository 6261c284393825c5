import { readFileSync } from 'node:fs';
import { canonicalJson, contentHash, describeDifferences, sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { verifyRecords } from './checksums.js';
import { type RunRecords, writeRunRecords } from './copy-run.js';
import { listIds, readCellRecord, readCellSamples, readRunRecord, readTimingPass, runPaths } from './run-files.js';
import { addCounts } from './run-record.js';
import type { RunRecord } from './schema.js';

/**
 * Puts the cells of several finished runs of one suite together in the new directory `out`: parts that machines ran by `--task`,
 * `--method` or `--length`. A cell's name is a hash of all that decides its scores, so equal names are the same cell; such a cell must
 * have the same samples everywhere. Timing passes keep the machine they ran on; of one pass only one record may exist.
 *
 * Throws ERR_RECORD where runs have another suite version, model, seed, number of samples, numerics or backend, or where they disagree.
 */
export const mergeRuns = (dirs: readonly string[], out: string): RunRecord => {
  const parts = dirs.map(readPart);
  const first = parts[0]!;
  for (const other of parts.slice(1)) refuseOthers(first, other);
  const cells = new Map<string, RunRecords['cells'][number]>();
  const timings = new Map<string, RunRecords['timings'][number]>();
  for (const part of parts) {
    for (const cell of part.cells) {
      const { cellId } = cell.record.cell;
      const known = cells.get(cellId);
      if (known !== undefined && canonicalJson(known.record) !== canonicalJson(cell.record))
        throw conflict(
          `${part.dir}, cell ${cellId}`,
          'the same records as in the other run',
          describeDifferences(known.record, cell.record).join('; '),
        );
      cells.set(cellId, cell);
    }
    for (const pass of part.timings) {
      const known = timings.get(pass.passId);
      if (known !== undefined && canonicalJson(known) !== canonicalJson(pass))
        throw conflict(
          `${part.dir}, pass ${pass.passId}`,
          'one record of a timing pass',
          'two',
          'Times of two machines are not mixed.',
        );
      timings.set(pass.passId, pass);
    }
  }
  const run = mergedRecord(parts);
  writeRunRecords(out, { run, cells: [...cells.values()], timings: [...timings.values()] });
  return run;
};

interface Part extends RunRecords {
  readonly dir: string;
  readonly runSha256: string;
}

const readPart = (dir: string): Part => {
  const run = readRunRecord(dir);
  if (run.status !== 'finished') throw conflict(dir, 'a finished run', run.status, `Finish it first: ${run.command}`);
  verifyRecords(dir);
  const paths = runPaths(dir);
  const cells = listIds(paths.cells, '.json').map((id) => {
    const record = readCellRecord(dir, id);
    return { record, samples: readCellSamples(dir, record) };
  });
  const timings = listIds(paths.timings, '.json').map((id) => readTimingPass(dir, id));
  return { dir, run, cells, timings, runSha256: sha256Hex(readFileSync(paths.run)) };
};

/** What all parts must share; the lists that a part may hold a piece of are left out. */
const sharedOf = ({ suite, model, numerics, backend, seeds, statistics }: RunRecord): Record<string, unknown> => {
  const { id, version, seed, samples, chatTemplate } = suite.resolved;
  return {
    suite: { id, version, seed, samples, chatTemplate },
    model: model.sha256,
    numerics,
    backend,
    seeds,
    statistics,
  };
};

const refuseOthers = (first: Part, other: Part): void => {
  const differences = describeDifferences(sharedOf(first.run), sharedOf(other.run));
  if (differences.length > 0)
    throw conflict(other.dir, `a run of the same suite and model as ${first.dir}`, differences.join('; '));
};

const conflict = (
  where: string,
  expected: string,
  actual: string,
  fix = 'Only parts of one suite, run alike, can be put together.',
): WinnowError => new WinnowError('ERR_RECORD', where, expected, actual, fix);

const LISTS = ['tasks', 'lengths', 'methods', 'keptFractions', 'tokenBudgets', 'protocols', 'exclude'] as const;

const mergedRecord = (parts: readonly Part[]): RunRecord => {
  const { run } = parts[0]!;
  const resolved = { ...run.suite.resolved };
  for (const name of LISTS) {
    const members = parts.flatMap((part) => (part.run.suite.resolved[name] ?? []) as unknown[]);
    resolved[name] = [...new Map(members.map((member) => [canonicalJson(member), member])).values()] as never;
  }
  const configuration = {
    ...run.configuration,
    suite: resolved,
    cells: [...new Set(parts.flatMap((part) => plannedOf(part.run)))],
  };
  const { engineOverheadShare: _, merged: __, ...kept } = run;
  const counts = parts
    .map((part) => part.run)
    .reduce((sum, one) => addCounts(sum, one), { prefills: 0, prefillsUnshared: 0, nativeMs: 0, totalMs: 0 });
  return {
    ...kept,
    id: `${run.suite.id.replace(/[^A-Za-z0-9._-]/g, '-')}-${contentHash(configuration).slice(0, 10)}`,
    configuration,
    configurationSha256: contentHash(configuration),
    suite: { ...run.suite, resolved, resolvedSha256: contentHash(resolved) },
    createdAt: parts.map((part) => part.run.createdAt).sort()[0]!,
    finishedAt: parts
      .map((part) => part.run.finishedAt ?? part.run.createdAt)
      .sort()
      .at(-1)!,
    ...{
      prefills: counts.prefills,
      prefillsUnshared: counts.prefillsUnshared,
      nativeMs: counts.nativeMs,
      totalMs: counts.totalMs,
    },
    ...(counts.totalMs > 0 ? { engineOverheadShare: Math.max(0, 1 - counts.nativeMs / counts.totalMs) } : {}),
    merged: parts.map(({ run: { id, code, machine }, runSha256, cells }) => ({
      id,
      runSha256,
      code,
      machine,
      cells: cells.length,
    })),
  };
};

const plannedOf = ({ configuration: { cells } }: RunRecord): string[] =>
  Array.isArray(cells) ? cells.map(String) : [];
