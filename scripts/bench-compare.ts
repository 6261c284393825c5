/**
 * Times `winnow compare` on two invented runs of many samples: `node --import tsx scripts/bench-compare.ts [SAMPLES] [CELLS]`.
 *
 * Prints seconds for the whole command, process start included.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tinyShape, writeSyntheticRun } from '../results/fixtures/synthetic-run.js';
import { runWinnow } from './run-winnow.js';

const [samples = 10_000, cells = 2] = process.argv.slice(2).map(Number);
const root = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
try {
  const shape = {
    ...tinyShape,
    tasks: Array.from({ length: Math.max(1, cells / 2) }, (_, i) => `task_${i}`),
    methods: ['dense', 'snapkv'],
    samples: Math.round(samples / cells),
  };
  const dirs = ['a', 'b'].map((name) => join(root, name));
  for (const [i, dir] of dirs.entries())
    writeSyntheticRun(dir, shape, {
      alter: (sample) =>
        sample.status === 'ok' && i === 1 && sample.index % 9 === 0
          ? { ...sample, score: (sample.index % 5) / 7 }
          : sample,
    });
  const start = performance.now();
  const { code, stderr, stdout } = await runWinnow(['compare', ...dirs]);
  const seconds = (performance.now() - start) / 1000;
  if (code !== 0) throw new Error(stderr);
  console.log(stdout.split('\n').slice(0, 12).join('\n'));
  console.log(`${samples} samples a run in ${cells} cells: ${seconds.toFixed(2)} s`);
} finally {
  rmSync(root, { recursive: true });
}
