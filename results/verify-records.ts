/** Checks that the records of a run say the same as each other, and that every number follows from the saved outputs. */
import { statSync } from 'node:fs';
import { canonicalJson, contentHash } from '../core/canonical-json.js';
import { type Bootstrap, createBootstrap } from '../core/statistics-bootstrap.js';
import { aggregateCell, intervalStatistics } from './aggregate.js';
import { listIds, readCellRecord, readCellSamples, readRunRecord, readTimingPass, runPaths } from './run-files.js';
import type { CellFacts, CellRecord, RunRecord, SampleRecord, ScoredSample } from './schema.js';
import { type Finding, problemText } from './verify-folder.js';

/** The score of a saved output by today's rules; undefined where the rules are not known here. */
export type Rescore = (cell: CellFacts, sample: ScoredSample) => number | undefined;

export interface RecordCheck {
  readonly run: RunRecord | undefined;
  readonly cells: number;
  readonly samples: number;
  /** Samples whose score was computed again; the others belong to tasks that are not known here. */
  readonly rescored: number;
  readonly findings: Finding[];
}

/** Scores are sums of a few fractions: more than rounding is another score. */
const SAME_SCORE = 1e-9;
/** Samples of a cell that are named one by one. */
const SHOWN = 3;

/** `files` are the names that may be read. */
export const verifyRecords = (dir: string, files: ReadonlySet<string>, rescore: Rescore): RecordCheck => {
  const findings: Finding[] = [];
  const run = attempt('run.json', findings, () => readRunRecord(dir));
  if (run === undefined) return { run, cells: 0, samples: 0, rescored: 0, findings };
  findings.push(...checkRun(run));
  const ids = listIds(runPaths(dir).cells, '.json').filter((id) => files.has(`cells/${id}.json`));
  findings.push(...checkPlanned(run, ids));
  const { seed, draws, level } = intervalStatistics;
  const check: CellCheck = { dir, run, files, rescore, bootstrap: createBootstrap({ seed, draws, level }), findings };
  const sampleIds = new Map<string, string>();
  let [samples, rescored] = [0, 0];
  for (const id of ids) {
    const checked = checkCell(check, id, sampleIds);
    samples += checked.samples;
    rescored += checked.rescored;
  }
  for (const id of listIds(runPaths(dir).samples, '.jsonl.gz'))
    if (!ids.includes(id)) findings.push({ where: `samples/${id}.jsonl.gz`, problem: 'belongs to no cell' });
  for (const id of listIds(runPaths(dir).timings, '.json'))
    attempt(`timings/${id}.json`, findings, () => checkTimings(readTimingPass(dir, id), id, ids, findings));
  return { run, cells: ids.length, samples, rescored, findings };
};

const attempt = <T>(where: string, findings: Finding[], read: () => T): T | undefined => {
  try {
    return read();
  } catch (error) {
    findings.push({ where, problem: problemText(error) });
    return undefined;
  }
};

const checkRun = (run: RunRecord): Finding[] => {
  const where = 'run.json';
  const problems = [
    run.status === 'finished' ? undefined : `says that the run is ${run.status}, not finished`,
    contentHash(run.configuration) === run.configurationSha256
      ? undefined
      : 'configuration was changed: its sha256 is not configurationSha256',
    contentHash(run.suite.resolved) === run.suite.resolvedSha256
      ? undefined
      : 'suite.resolved was changed: its sha256 is not suite.resolvedSha256',
    canonicalJson(run.configuration.suite ?? run.suite.resolved) === canonicalJson(run.suite.resolved)
      ? undefined
      : 'configuration and suite.resolved are two suites',
    canonicalJson(run.statistics) === canonicalJson(intervalStatistics)
      ? undefined
      : `statistics are not those of this version (${canonicalJson(intervalStatistics)})`,
    modelOf(run) === undefined || modelOf(run) === run.model.sha256
      ? undefined
      : 'model.sha256 is not the one that the configuration names',
  ];
  return problems.flatMap((problem) => (problem === undefined ? [] : { where, problem }));
};

const modelOf = ({ configuration: { model } }: RunRecord): unknown =>
  typeof model === 'object' && model !== null && 'sha256' in model ? model.sha256 : undefined;

const checkPlanned = (run: RunRecord, ids: readonly string[]): Finding[] => {
  const planned = run.configuration.cells;
  if (!Array.isArray(planned)) return [{ where: 'run.json', problem: 'configuration lists no cells' }];
  const [wanted, found] = [new Set(planned.map(String)), new Set(ids)];
  return [
    ...[...wanted]
      .filter((id) => !found.has(id))
      .map((id) => ({ where: `cells/${id}.json`, problem: 'is missing: the plan has this cell' })),
    ...ids
      .filter((id) => !wanted.has(id))
      .map((id) => ({ where: `cells/${id}.json`, problem: 'is no cell of the plan' })),
  ];
};

interface CellCheck {
  readonly dir: string;
  readonly run: RunRecord;
  readonly files: ReadonlySet<string>;
  readonly rescore: Rescore;
  readonly bootstrap: Bootstrap;
  readonly findings: Finding[];
}

const checkCell = (
  { dir, run, files, rescore, bootstrap, findings }: CellCheck,
  id: string,
  sampleIds: Map<string, string>,
): { samples: number; rescored: number } => {
  const nothing = { samples: 0, rescored: 0 };
  const [where, samplesWhere] = [`cells/${id}.json`, `samples/${id}.jsonl.gz`];
  const record = attempt(where, findings, () => readCellRecord(dir, id));
  if (record === undefined) return nothing;
  if (!files.has(samplesWhere)) {
    findings.push({ where: samplesWhere, problem: 'is missing' });
    return nothing;
  }
  const packed = statSync(runPaths(dir).cellSamples(id)).size;
  const samples = attempt(samplesWhere, findings, () => readCellSamples(dir, record, mostUnpacked(packed)));
  if (samples === undefined) return nothing;
  const say = (problem: string, at = where): unknown => findings.push({ where: at, problem });

  if (samples.some(({ index }, i) => index !== i))
    say('sample indices are not 0, 1, 2, …: samples were removed or repeated', samplesWhere);
  if (new Set(samples.map(({ sampleId }) => sampleId)).size < samples.length) say('holds a sample twice', samplesWhere);
  const planned = run.suite.resolved.samples;
  if (record.status === 'ok' && typeof planned === 'number' && samples.length > planned)
    say(`holds ${samples.length} samples, the suite asks for ${planned}`, samplesWhere);
  if (record.status === 'ok') checkSharedSamples(record, samples, sampleIds, say);

  let rescored = 0;
  let differing = 0;
  for (const sample of samples) {
    if (sample.status !== 'ok') continue;
    const score = attempt(samplesWhere, findings, () => rescore(record.cell, sample));
    if (score === undefined) continue;
    rescored++;
    if (Math.abs(score - sample.score) > SAME_SCORE && differing++ < SHOWN)
      say(
        `sample ${sample.sampleId} scores ${score} by its saved output, the record says ${sample.score}`,
        samplesWhere,
      );
  }
  if (differing > SHOWN) say(`and ${differing - SHOWN} more samples score otherwise`, samplesWhere);
  // A cell that could not be run at all has a reason and no samples.
  if (samples.length > 0 || record.status === 'ok') {
    const { status, n, aggregates } = aggregateCell(samples, bootstrap);
    const [said, computed] = [record, { status, n, aggregates }].map((one) =>
      canonicalJson({ status: one.status, n: one.n, aggregates: one.aggregates }),
    );
    if (said !== computed) say('status, n or aggregates do not follow from the samples');
  }
  return { samples: samples.length, rescored };
};

/** All methods of a task, length and protocol were asked the same questions. */
const checkSharedSamples = (
  { cell }: CellRecord,
  samples: readonly SampleRecord[],
  sampleIds: Map<string, string>,
  say: (problem: string) => unknown,
): void => {
  const key = canonicalJson([cell.taskName, cell.contextLength, cell.protocol]);
  const ids = canonicalJson(
    samples.map(({ sampleId, ...rest }) => [sampleId, 'references' in rest ? rest.references : []]),
  );
  const isSame = (name: string, value: string): boolean => {
    const first = sampleIds.get(name) ?? value;
    sampleIds.set(name, first);
    return first === value;
  };
  if (!isSame(key, ids)) say('has other samples or references than the other methods of its task');
  // Older records have no hash of what was asked.
  else if (
    samples.some(({ sampleId, promptHash }) => promptHash !== undefined && !isSame(`${key} ${sampleId}`, promptHash))
  )
    say('was asked other texts than the other methods of its task');
};

/** Records are text that packs by a factor of 5 to 60; a file that claims a thousand is made to fill the memory. */
const mostUnpacked = (packedBytes: number): number => Math.min(2 ** 28, Math.max(2 ** 20, 200 * packedBytes));

const checkTimings = (
  { passId, timings, batches = [] }: ReturnType<typeof readTimingPass>,
  id: string,
  cells: readonly string[],
  findings: Finding[],
): void => {
  const where = `timings/${id}.json`;
  if (passId !== id) findings.push({ where, problem: `is the record of pass ${passId}` });
  const foreign = [...timings, ...batches].find(({ cellId }) => !cells.includes(cellId));
  if (foreign !== undefined) findings.push({ where, problem: `times ${foreign.cellId}, which is no cell of the run` });
};
