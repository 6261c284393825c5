import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { syntheticOptions, tinyShape } from '../results/fixtures/synthetic-run.js';
import { openRun } from '../results/run-directory.js';
import type { PlannedCell } from '../suites/contract.js';
import { passIdOf } from '../suites/timing-passes.js';
import { batchesTable, timingsOf, timingTable } from './timing-output.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-timing-output-'));
after(() => rmSync(root, { recursive: true }));

const cellOf = (id: string): PlannedCell => ({
  ...{ cellId: id, task: 'vt', taskName: 'vt', contextLength: 1024, protocol: 'query-aware' },
  method: { id, params: {} },
});
const group = {
  ...{ taskName: 'vt', contextLength: 1024, protocol: 'query-aware' as const },
  cells: ['dense', 'snapkv'].map(cellOf),
};

test('times are medians of the rounds, and batches stand below them with their tokens per second', () => {
  const dir = join(root, 'run');
  const run = openRun(syntheticOptions(dir, tinyShape));
  const timings = group.cells.flatMap(({ cellId }) =>
    [5, 9, 6].map((decodeMsPerToken, repeat) => ({
      ...{ cellId, sampleId: 's', repeat, prefillMs: 1, compressionMs: 0, timeToFirstTokenMs: 2 },
      ...{ decodeMsPerToken, generatedTokens: 16 },
    })),
  );
  const head = { cellId: 'dense', sampleId: 's' };
  const measured = { meanStepMs: 9, steps: 15, kvCacheBytes: 1, kvBytesReadPerStep: 1 };
  run.finishPass(passIdOf(group), timings, {
    batches: [
      { ...head, asked: 'largest', status: 'ok', rows: 8, stepMs: 4, ...measured },
      { ...head, asked: 64, status: 'out-of-memory', error: { code: 'ERR_OUT_OF_MEMORY', message: 'no room' } },
    ],
  });
  run.close('interrupted');
  const found = timingsOf(dir, [group]);
  assert.deepEqual(
    found.map(({ method, decodeMsPerToken, rounds }) => [method, decodeMsPerToken, rounds]),
    [
      ['dense', 6, 3],
      ['snapkv', 6, 3],
    ],
  );
  assert.match(timingTable(found), /snapkv .* 6\.00/);
  assert.deepEqual(found[0]!.batches[0], { asked: 'largest', rows: 8, stepMs: 4, tokensPerSecond: 2000, error: null });
  const [, largest, failed, ...more] = batchesTable(found)!.split('\n');
  assert.match(largest!, /dense .*8 \(largest\) +4\.00 +2000/);
  assert.match(failed!, /64 +no room/);
  assert.deepEqual([more, batchesTable(found.slice(1))], [[], undefined]);
});
