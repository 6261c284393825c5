/**
 * Feeds damaged model files to everything that reads them: `npm run fuzz -- [--inputs N] [--seed S] [--jobs J] [--only TARGET] [--at N]`.
 *
 * Property: no crash, no hang, only WinnowErrors, no allocation beyond the file's size x 4 + 64 MB. Input n of a seed is the same on
 * every machine; `--only TARGET --at N` repeats one. Exit code 1 when something was found.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ChildMessage } from './fuzz-child.js';

/** No progress for so long is a hang; the child's own limit for one input is a third of it. */
const STALL_MS = 30_000;
const DEFAULT_INPUTS = 1_000_000;

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: String(DEFAULT_INPUTS) },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    only: { type: 'string' },
    at: { type: 'string' },
  },
});
const seed = Number(values.seed);
const jobs = values.at === undefined ? Number(values.jobs) : 1;
const begin = values.at === undefined ? 0 : Number(values.at);
const end = values.at === undefined ? Number(values.inputs) : begin + 1;
if (![seed, jobs, begin, end].every((n) => Number.isSafeInteger(n) && n >= 0) || jobs < 1) {
  process.stderr.write(
    '[ERR_USAGE] fuzz: expected whole numbers in --inputs, --seed, --jobs and --at. Example: npm run fuzz -- --inputs 20000 --seed 7\n',
  );
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'winnow-fuzz-run-'));
const child = fileURLToPath(new URL('fuzz-child.ts', import.meta.url));
const outcomes = new Map<string, number>();
let findings = 0;
let slowestMs = 0;
let largestBytes = 0;

const report = (at: number, target: string, what: string): void => {
  findings++;
  console.log(
    `FOUND ${target}: ${what}\n  npm run fuzz -- --seed ${seed} --at ${at}${values.only === undefined ? '' : ` --only ${values.only}`}`,
  );
};

/** Runs inputs first, first + jobs, …; after a crash or hang goes on behind the input that caused it. */
const runJob = async (job: number): Promise<void> => {
  const progressFile = join(folder, String(job));
  let first = begin + job;
  while (first < end) first = await runChild(first, progressFile);
};

const runChild = (first: number, progressFile: string): Promise<number> =>
  new Promise((resolve) => {
    const words = [seed, first, end, jobs, progressFile].map(String);
    const worker = fork(child, values.only === undefined ? words : [...words, values.only], {
      execArgv: ['--import', 'tsx'],
    });
    const position = (): number => Number(readFileSync(progressFile, 'utf8') || first);
    let isDone = false;
    let [seen, seenAt] = [-1, performance.now()];
    const watch = setInterval(() => {
      const now = seen === -1 && performance.now() - seenAt < STALL_MS ? -1 : position();
      if (now !== seen) [seen, seenAt] = [now, performance.now()];
      else if (performance.now() - seenAt > STALL_MS) worker.kill('SIGKILL');
    }, 2_000);
    worker.on('message', (message: ChildMessage) => {
      if (message.kind === 'finding') return report(message.at, message.target, message.what);
      isDone = true;
      for (const [name, count] of Object.entries(message.outcomes))
        outcomes.set(name, (outcomes.get(name) ?? 0) + count);
      slowestMs = Math.max(slowestMs, message.slowestMs);
      largestBytes = Math.max(largestBytes, message.largestBytes);
    });
    worker.on('close', (code, signal) => {
      clearInterval(watch);
      if (isDone) return resolve(end);
      const at = position();
      report(at, 'process', signal === 'SIGKILL' ? `no end within ${STALL_MS} ms` : `ended by ${signal ?? code}`);
      resolve(at + jobs);
    });
  });

const start = performance.now();
await Promise.all(Array.from({ length: jobs }, (_, job) => runJob(job)));
rmSync(folder, { recursive: true, force: true });
for (const [name, count] of [...outcomes].sort()) console.log(`${String(count).padStart(9)}  ${name}`);
const seconds = (performance.now() - start) / 1e3;
console.log(
  `${end - begin} inputs in ${seconds.toFixed(1)} s (${((end - begin) / seconds).toFixed(0)} a second), slowest ${slowestMs.toFixed(0)} ms, largest growth ${(largestBytes / 1e6).toFixed(1)} MB, ${findings} found`,
);
process.exit(findings === 0 ? 0 : 1);
