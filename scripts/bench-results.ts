/**
 * `npm run bench:results -- DIR`: what writing records costs a run. Replays the records of the finished run in DIR into a temporary
 * folder as a run writes them, with the same syncs: prompt by prompt for all settings, then the cells, then run.json and checksums. Prints
 * milliseconds and their share of the time that the engine took for the same samples. Report and charts come after a run and are timed
 * apart.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reportRun } from '../results/report.js';
import { openRun } from '../results/run-directory.js';
import { readRunRecords } from '../results/run-records.js';
import type { SampleRecord } from '../results/schema.js';

const dir = process.argv[2];
if (dir === undefined) {
  process.stderr.write('Usage: npm run bench:results -- DIR, a finished run directory\n');
  process.exit(2);
}
const { run, cells } = readRunRecords(dir);
const prompts = new Map<string, Record<string, SampleRecord[]>>();
for (const { record, samples } of cells) {
  const { taskName, contextLength, protocol, cellId } = record.cell;
  for (const sample of samples) {
    const key = `${taskName} ${contextLength} ${protocol} ${sample.index}`;
    const prompt = prompts.get(key) ?? {};
    prompts.set(key, { ...prompt, [cellId]: [sample] });
  }
}

const folder = mkdtempSync(join(tmpdir(), 'winnow-bench-results-'));
try {
  const { id, configuration, code, machine, software } = run;
  const provenance = { code, machine, software };
  const begun = performance.now();
  const written = openRun({ dir: join(folder, 'run'), id, configuration, header: headerOf(), provenance });
  const opened = performance.now();
  for (const samples of prompts.values()) written.appendPrompt(samples, { prefills: 1, totalMs: 0 });
  const appended = performance.now();
  for (const { record } of cells)
    written.finishCell(
      record.cell,
      record.status === 'ok' || record.error === undefined ? undefined : { status: record.status, error: record.error },
    );
  const finished = performance.now();
  written.close('finished');
  const closed = performance.now();
  const { charts } = await reportRun(join(folder, 'run'));
  const reported = performance.now();
  const share = (ms: number): string => `${((100 * ms) / run.totalMs).toFixed(2)} % of the engine's time`;
  process.stdout.write(
    [
      `${cells.length} cells, ${prompts.size} prompts, engine ${(run.totalMs / 1000).toFixed(1)} s`,
      `open ${(opened - begun).toFixed(0)} ms`,
      `journal ${(appended - opened).toFixed(0)} ms, ${((appended - opened) / prompts.size).toFixed(1)} ms a prompt`,
      `cells ${(finished - appended).toFixed(0)} ms, ${((finished - appended) / cells.length).toFixed(1)} ms each, intervals included`,
      `close ${(closed - finished).toFixed(0)} ms`,
      `together ${(closed - begun).toFixed(0)} ms: ${share(closed - begun)}`,
      `report with ${charts.length} charts, after the run: ${(reported - closed).toFixed(0)} ms`,
      '',
    ].join('\n'),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function headerOf() {
  const { command, model, suite, seeds, numerics, backend, isa, threads } = run;
  return { command, model, suite, seeds, numerics, backend, isa, threads };
}
