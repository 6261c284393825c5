/**
 * The project gates itself: runs suites/smoke.yaml in reference numerics, whose answers are the same on every machine, and holds it against
 * the committed run directory results/baselines/smoke under results/baselines/gate.yaml.
 *
 * `npm run gate` does that (exit code 77 without the default model), `npm run baseline` records the baseline again.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultModelId, findModel } from '../engine/models.js';
import { writeChecksums } from '../results/checksums.js';
import { readRunRecord, recordText, runPaths } from '../results/run-files.js';
import { runWinnow } from './run-winnow.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const baseline = join('results', 'baselines', 'smoke');
const words = ['run', 'suites/smoke.yaml', '--numerics', 'reference'];

/** Only what the gate reads: the records, without charts, tables and the place they were made in. */
const keepBaseline = (dir: string): void => {
  const target = join(root, baseline);
  rmSync(target, { recursive: true, force: true });
  for (const name of ['cells', 'samples']) cpSync(join(dir, name), join(target, name), { recursive: true });
  const command = ['npx', 'winnow', ...words].join(' ');
  writeFileSync(runPaths(target).run, recordText({ ...readRunRecord(dir), command }));
  writeChecksums(target);
};

const main = async (isUpdate: boolean): Promise<number> => {
  if ((await findModel(defaultModelId)) === undefined) {
    console.log(`${defaultModelId} is not in the cache; run: winnow models pull ${defaultModelId}`);
    return isUpdate ? 3 : 77;
  }
  const dir = mkdtempSync(join(tmpdir(), 'winnow-gate-'));
  try {
    const ran = await runWinnow([...words, '--out', dir], { cwd: root });
    if (ran.code !== 0) {
      console.log(ran.stderr);
      return 1;
    }
    if (isUpdate) {
      keepBaseline(dir);
      console.log(`${baseline} is recorded anew; commit it with the change that moved it`);
      return 0;
    }
    const policy = join('results', 'baselines', 'gate.yaml');
    const gated = await runWinnow(['gate', '--baseline', baseline, '--candidate', dir, '--policy', policy], {
      cwd: root,
    });
    console.log(gated.stdout + gated.stderr);
    if (gated.code !== 0) console.log('If the change is meant, run npm run baseline and commit what it writes.');
    return gated.code ?? 1;
  } finally {
    rmSync(dir, { recursive: true });
  }
};

process.exitCode = await main(process.argv.includes('--update'));
