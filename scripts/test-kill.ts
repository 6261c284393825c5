/**
 * `npm run test:kill -- --rounds 300 --seed 0`: kills `winnow run` with SIGKILL at random instants, again and again, and continues it.
 *
 * Every record that was on disk before a kill must be there after it, unchanged; every run that gets to its end must hold the same cells
 * and samples as a run that nobody disturbed, byte for byte. A tiny random model, reference numerics; about two seconds a round.
 * Prints one line a run and, last, how many kills met a living process. Exit code 1 at the first difference.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sha256Hex } from '../core/canonical-json.js';
import { createRandom } from '../core/random.js';
import { writeTinyModel } from '../engine/tiny-model.js';
import { assertSameRecords } from '../results/fixtures/compare-runs.js';
import { listIds, readRunRecord, runPaths } from '../results/run-files.js';
import { readJournal } from '../results/sample-journal.js';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '300' }, seed: { type: 'string', default: '0' } },
});
const rounds = Number(values.rounds);
const random = createRandom(Number(values.seed), 'kills');
const root = mkdtempSync(join(tmpdir(), 'winnow-kill-'));
const model = writeTinyModel(join(root, 'model'));
const entry = fileURLToPath(new URL('winnow.mjs', import.meta.url));

const wordsFor = (dir: string): string[] => [
  ...['run', 'smoke', '--model', model, '--numerics', 'reference', '--out', dir],
  ...['--task', 'niah_single_2,two_hop_qa', '--method', 'random,snapkv,kivi', '--kept-fraction', '0.5'],
  ...['--length', '2k', '--samples', '12'],
];

/** Runs until the end or the kill. Resolves to what happened. */
const run = (dir: string, killAfterMs: number): Promise<'finished' | 'killed'> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entry, ...wordsFor(dir)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (data: Buffer) => {
      complaint += data.toString();
    });
    const timer = Number.isFinite(killAfterMs) ? setTimeout(() => child.kill('SIGKILL'), killAfterMs) : undefined;
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGKILL') resolve('killed');
      else if (code === 0) resolve('finished');
      else reject(new Error(`winnow run ended with ${code}: ${complaint}`));
    });
  });

/** Hash of every record that is safe on disk: finished cells with their samples, and samples of unfinished ones. */
const recordsOf = (dir: string): Map<string, string> => {
  const paths = runPaths(dir);
  const records = new Map<string, string>();
  const done = new Set<string>();
  for (const id of listIds(paths.cells, '.json')) {
    done.add(id);
    records.set(id, sha256Hex(Buffer.concat([readFileSync(paths.cell(id)), readFileSync(paths.cellSamples(id))])));
  }
  for (const { samples } of existsSync(paths.journal) ? readJournal(paths.journal).entries : [])
    for (const [cellId, some] of Object.entries(samples))
      if (!done.has(cellId))
        for (const one of some) records.set(`${cellId}/${one.sampleId}`, sha256Hex(JSON.stringify(one)));
  return records;
};

const assertKept = (before: Map<string, string>, after: Map<string, string>): void => {
  for (const [key, hash] of before) {
    // A sample may have gone into its finished cell meanwhile, where the comparison at the end of the run sees it.
    const now = after.get(key) ?? (after.has(key.split('/')[0]!) ? hash : undefined);
    if (now !== hash) throw new Error(`record ${key} was ${now === undefined ? 'lost' : 'changed'} by a kill`);
  }
};

try {
  const whole = join(root, 'whole');
  const started = performance.now();
  await run(whole, Number.POSITIVE_INFINITY);
  const wholeMs = performance.now() - started;
  const { prefills } = readRunRecord(whole);
  let kills = 0;
  for (let n = 0; kills < rounds; n++) {
    const dir = join(root, `run-${n}`);
    let attempts = 0;
    for (let outcome = ''; outcome !== 'finished'; attempts++) {
      const before = existsSync(runPaths(dir).run) ? recordsOf(dir) : new Map<string, string>();
      outcome = await run(dir, kills < rounds ? random.float() * wholeMs * 1.1 : Number.POSITIVE_INFINITY);
      if (existsSync(runPaths(dir).run)) assertKept(before, recordsOf(dir));
      else if (before.size > 0) throw new Error('run.json is gone');
      if (outcome === 'killed') kills++;
    }
    assertSameRecords(dir, whole);
    const record = readRunRecord(dir);
    // The sample in flight is computed again, so prefills may be more, never fewer.
    if (record.status !== 'finished' || record.prefills < prefills)
      throw new Error(`run.json: ${record.status}, ${record.prefills} prefills`);
    console.error(`run ${n}: ${attempts} starts, ${kills} of ${rounds} kills so far`);
    rmSync(dir, { recursive: true });
  }
  console.log(`${kills} kills met a living process; no record was lost, doubled or changed.`);
} finally {
  rmSync(root, { recursive: true, force: true });
}
