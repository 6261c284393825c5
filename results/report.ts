import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { diskError, writeFileAtomic } from '../core/files.js';
import { cellsCsv } from './cells-csv.js';
import { buildCharts } from './charts/index.js';
import type { SkippedChart } from './charts/theme.js';
import { writeChecksums } from './checksums.js';
import { renderChart } from './render.js';
import { reportMarkdown } from './report-markdown.js';
import { runPaths } from './run-files.js';
import { lockRun } from './run-lock.js';
import { noRun } from './run-records.js';
import { type RunSummary, summariseRun } from './summary.js';

export interface Report {
  readonly summary: RunSummary;
  readonly csv: string;
  readonly markdown: string;
  /** Paths of the SVG files; a PNG and the spec stand beside each. */
  readonly charts: readonly string[];
  readonly skipped: readonly SkippedChart[];
}

/**
 * Makes cells.csv, the charts and report.md of a run directory again from its records. The run must not be open.
 *
 * Throws: ERR_MISSING — no run is there. ERR_RECORD — a record is damaged; names the file. ERR_LOCKED — a process writes the run.
 * ERR_DISK — the folder cannot be written.
 */
export const reportRun = async (dir: string): Promise<Report> => {
  const paths = runPaths(dir);
  if (!existsSync(paths.run)) throw noRun(dir);
  const lock = lockRun(dir);
  try {
    const summary = summariseRun(dir);
    const built = buildCharts(summary);
    mkdirSync(paths.charts, { recursive: true });
    writeFileAtomic(paths.csv, cellsCsv(summary));
    for (const { name, spec } of built.charts) {
      const { svg, png } = await renderChart(spec);
      writeFileAtomic(join(paths.charts, `${name}.vl.json`), `${JSON.stringify(spec, null, 1)}\n`);
      writeFileAtomic(join(paths.charts, `${name}.svg`), svg);
      writeFileAtomic(join(paths.charts, `${name}.png`), png);
    }
    writeFileAtomic(paths.report, reportMarkdown(summary, built));
    writeChecksums(dir);
    const charts = built.charts.map(({ name }) => join(paths.charts, `${name}.svg`));
    return { summary, csv: paths.csv, markdown: paths.report, charts, skipped: built.skipped };
  } catch (cause) {
    throw diskError(dir, cause);
  } finally {
    lock.release();
  }
};
