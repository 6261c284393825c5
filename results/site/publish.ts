/** Makes a static site from run directories. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { WinnowError } from '../../core/errors.js';
import { diskError } from '../../core/files.js';
import { methodCard } from '../../methods/cards.js';
import { findMethod, methods } from '../../methods/index.js';
import { cellsCsvColumns, csvOf, type Value } from '../cells-csv.js';
import { config } from '../charts/theme.js';
import { renderChart } from '../render.js';
import { readCellSamples, runPaths } from '../run-files.js';
import type { SampleRecord } from '../schema.js';
import type { Rescore } from '../verify.js';
import { boardName } from './board-names.js';
import { encodeSite, type RankedSetting } from './encode.js';
import { indexPage } from './index-page.js';
import { paretoSpec, plotted } from './pareto-spec.js';
import { parquetOf } from './parquet.js';
import { rankSettings } from './rank-settings.js';
import { findRuns, readRuns, type SiteRun } from './read-runs.js';
import { pageScript } from './script.js';
import { settingPage } from './setting-page.js';
import { createShell } from './shell.js';
import { type Badge, type Board, quantities } from './site-data.js';

export interface PublishOptions {
  readonly dirs: readonly string[];
  readonly site: string;
  readonly title: string;
  readonly rescore: Rescore;
}

export interface Published {
  readonly site: string;
  readonly runs: readonly { readonly dir: string; readonly id: string; readonly badge: Badge }[];
  readonly settings: number;
  readonly cells: number;
  readonly samples: number;
  readonly files: number;
  readonly bytes: number;
}

/** Says that a folder is ours to replace. */
const MARKER = 'winnow-site.json';

/**
 * Writes the site: the first page, a page for each setting, and downloads. The same runs give the same bytes. The folder is replaced as a
 * whole once everything is made; a folder that holds something else is refused.
 *
 * Throws: ERR_MISSING — no run. ERR_RECORD — `verify` refuses one. ERR_USAGE — the folder is not a site. ERR_DISK — it cannot be written.
 */
export const publishSite = async ({ dirs, site, title, rescore }: PublishOptions): Promise<Published> => {
  refuseForeign(site);
  const runs = readRuns(findRuns(dirs), rescore, familyOf);
  const { boards, ranked } = rankSettings(runs);
  const building = join(dirname(resolve(site)), `.tmp-${process.pid}-site`);
  const written = { files: 0, bytes: 0 };
  const write = (name: string, data: string | Uint8Array): void => {
    mkdirSync(dirname(join(building, name)), { recursive: true });
    writeFileSync(join(building, name), data);
    written.files++;
    written.bytes += typeof data === 'string' ? Buffer.byteLength(data) : data.length;
  };
  try {
    rmSync(building, { recursive: true, force: true });
    writePages(runs, ranked, write);
    const downloads = [...writeTables(runs, ranked, write), ...(await writeFronts(boards, ranked, write))];
    const settings = ranked.map(({ setting }) => setting);
    const cells = runs.reduce((sum, run) => sum + run.rows.length, 0);
    const samples = runs.reduce((sum, run) => sum + run.samples, 0);
    const { statistics } = runs[0]!.run;
    const data = encodeSite(
      { title, level: statistics.level, bootstrap: { seed: statistics.seed, draws: statistics.draws }, boards },
      ranked,
    );
    const body = indexPage({ title, boards, settings, cells, samples, runs: runs.length, downloads });
    write('index.html', createShell()({ title, body, script: pageScript(), data }));
    write(
      MARKER,
      `${JSON.stringify({ title, runs: runs.map(({ name, badge }) => ({ id: name, badge })) }, null, 1)}\n`,
    );
    replaceFolder(building, site);
    return {
      site,
      runs: runs.map(({ dir, name, badge }) => ({ dir, id: name, badge })),
      settings: settings.length,
      cells,
      samples,
      ...written,
    };
  } catch (cause) {
    rmSync(building, { recursive: true, force: true });
    throw diskError(site, cause);
  }
};

type Write = (name: string, data: string | Uint8Array) => void;

const familyOf = (id: string): string | undefined => methods.find((method) => method.id === id)?.family;

const cardsOf = (method: string): string[][] =>
  method.split('+').flatMap((id) => (familyOf(id) === undefined ? [] : [methodCard(findMethod(id))]));

const writePages = (runs: readonly SiteRun[], ranked: readonly RankedSetting[], write: Write): void => {
  const shell = createShell();
  const runOf = new Map(runs.map((run, i) => [run.name, { ...run, file: `runs/${i + 1}.json` }]));
  for (const { dir, file } of runOf.values()) write(file, readFileSync(runPaths(dir).run));
  for (const { setting, source } of ranked) {
    const { dir, run, file } = runOf.get(setting.run)!;
    const samples = new Map<string, SampleRecord[]>(
      source.siteCells.map(({ record }) => [record.cell.cellId, readCellSamples(dir, record)]),
    );
    const samplesFile = `downloads/samples-${setting.id}.jsonl.gz`;
    // Members of gzip files may follow each other: together they unpack to the lines of all cells.
    const packed = source.siteCells.map(({ record }) => readFileSync(runPaths(dir).cellSamples(record.cell.cellId)));
    write(samplesFile, Buffer.concat(packed));
    const body = settingPage({
      setting,
      source,
      run,
      samplesOf: (cellId) => samples.get(cellId) ?? [],
      cards: cardsOf(setting.method),
      samplesFile: `../${samplesFile}`,
      runFile: `../${file}`,
    });
    write(setting.page, shell({ title: `${setting.series} ${setting.budget}`.trim(), body }));
  }
};

const writeTables = (runs: readonly SiteRun[], ranked: readonly RankedSetting[], write: Write) => {
  const names = [...cellsCsvColumns, 'run', 'badge'];
  const rows = runs.flatMap(({ rows: of, name, badge }) => of.map((row) => [...row, name, badge]));
  write('downloads/cells.csv', csvOf(names, rows));
  write('downloads/cells.parquet', parquetOf(names, rows));
  const columns = ['id', 'run', 'series', 'budget', 'protocol', 'axis', 'badge', 'rank', 'tied', 'unranked'] as const;
  const settings = ranked.map(({ setting }): Value[] => [
    ...columns.map((name) => setting[name] ?? undefined),
    ...quantities.map(({ id }) => setting[id] ?? undefined),
  ]);
  write('downloads/settings.csv', csvOf([...columns, ...quantities.map(({ id }) => id)], settings));
  return [
    { file: 'downloads/cells.csv', label: 'All cells (CSV)' },
    { file: 'downloads/cells.parquet', label: 'All cells (Parquet)' },
    { file: 'downloads/settings.csv', label: 'All settings (CSV)' },
  ];
};

/** Score kept against cache bytes of each board, drawn. */
const writeFronts = async (boards: readonly Board[], ranked: readonly RankedSetting[], write: Write) => {
  const axes = { x: 'kvCacheBytes', y: 'scoreKept' } as const;
  const links: { file: string; label: string }[] = [];
  for (const [i, board] of boards.entries()) {
    const settings = ranked.map(({ setting }) => setting).filter((setting) => setting.board === i);
    if (plotted(settings, axes).length === 0) continue;
    const name = `Score kept against cache bytes, ${boardName(board)}`;
    const spec = { ...paretoSpec(name, settings, axes), config } as Parameters<typeof renderChart>[0];
    const file = `downloads/pareto-${i + 1}`;
    write(`${file}.vl.json`, `${JSON.stringify(spec, null, 1)}\n`);
    write(`${file}.svg`, (await renderChart(spec)).svg);
    links.push(
      { file: `${file}.svg`, label: `${name} (SVG)` },
      { file: `${file}.vl.json`, label: `${name} (Vega-Lite)` },
    );
  }
  return links;
};

const refuseForeign = (site: string): void => {
  if (!existsSync(site) || existsSync(join(site, MARKER)) || readdirSync(site).length === 0) return;
  const fix = 'Choose another folder with --site; publishing replaces the whole folder.';
  throw new WinnowError('ERR_USAGE', '--site', 'a new or empty folder, or a site made before', site, fix);
};

const replaceFolder = (made: string, site: string): void => {
  const old = `${made}-old`;
  if (existsSync(site)) renameSync(site, old);
  renameSync(made, site);
  rmSync(old, { recursive: true, force: true });
};
