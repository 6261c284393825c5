/**
 * `npm run published -- DIR`: copies the finished run in DIR to results/published/SUITE-MODEL, in place of what is there, without the
 * charts and the report, which `winnow report` and `winnow publish` make anew. Refuses a run that `winnow verify` would refuse.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../core/files.js';
import { cellsCsv } from '../results/cells-csv.js';
import { writeChecksums } from '../results/checksums.js';
import { writeRunRecords } from '../results/copy-run.js';
import { runPaths } from '../results/run-files.js';
import { readRunRecords } from '../results/run-records.js';
import { summariseRun } from '../results/summary.js';
import { type Finding, verifyRun } from '../results/verify.js';
import { rescore } from '../suites/rescore.js';

const fail = (dir: string, findings: readonly Finding[]): never => {
  for (const { where, problem } of findings) process.stderr.write(`${dir}: ${where} ${problem}\n`);
  process.exit(3);
};

const dir = process.argv[2];
if (dir === undefined) {
  process.stderr.write('Usage: npm run published -- DIR, a finished run directory\n');
  process.exit(2);
}
const before = verifyRun(dir, rescore);
if (before.findings.length > 0) fail(dir, before.findings);
const { run, cells, passes } = readRunRecords(dir);
// Where a run was written is nothing to its readers.
const command = run.command.replace(/ --out ('[^']*'|\S+)/, '');
const name = `${run.suite.id}-${run.model.id}`.replace(/[^A-Za-z0-9._-]/g, '-');
const out = join(fileURLToPath(new URL('../results/published', import.meta.url)), name);
rmSync(out, { recursive: true, force: true });
writeRunRecords(out, { run: { ...run, command }, cells, timings: passes });
writeFileAtomic(runPaths(out).csv, cellsCsv(summariseRun(out)));
rmSync(runPaths(out).charts, { recursive: true, force: true });
writeChecksums(out);
const after = verifyRun(out, rescore);
if (after.findings.length > 0) fail(out, after.findings);
process.stdout.write(`${after.cells} cells, ${after.samples} samples in ${out}\n`);
