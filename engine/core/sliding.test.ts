/** What a model with sliding layers reads, holds and refuses. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { snapkv } from '../../methods/cache/snapkv.js';
import type { BenchRow, BenchSetting } from '../../methods/conformance-bench.js';
import { dense } from '../../methods/control/dense.js';
import { quest } from '../../methods/decode/quest.js';
import { parseParams } from '../../methods/params.js';
import { openBench } from '../bench.js';
import { type TinyModelOptions, writeTinyModel } from '../tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-sliding-'));
after(() => rmSync(root, { recursive: true, force: true }));

const contextTokens = 200;
const window = 64;
const ids = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => 3 + ((i * 37) % 250));

async function run(name: string, options: Partial<TinyModelOptions>): Promise<readonly BenchRow[]> {
  const bench = await openBench(writeTinyModel(join(root, name), options), { numerics: 'reference', threads: 1 });
  const setting = (method: BenchSetting['method']): BenchSetting => ({
    key: method.id,
    method,
    params: parseParams(method, method === quest ? { denseLayers: 0 } : {}),
    ...(method === dense ? {} : { keptFraction: 0.5 }),
  });
  try {
    return await bench.run({
      contextIds: ids(contextTokens),
      questionIds: Int32Array.of(7, 8, 9),
      settings: [dense, snapkv, quest].map(setting),
      protocol: 'query-agnostic',
      maxNewTokens: 3,
      sampleSeed: 1,
    });
  } finally {
    await bench.close();
  }
}

suite('a model whose layers slide, all but one', () => {
  // Gemma's period of two: layers 0 and 2 slide, layer 1 does not.
  const shape = { family: 'gemma2', layers: 3, kvHeads: 2, headDim: 16, slidingWindow: window } as const;
  const slotBytes = 2 * 16 * 4;
  const kvHeads = 2;

  test('is evicted from in that one; the others keep every slot, and all of it is counted', async () => {
    const [plain, kept] = await run('alternating', shape);
    assert.ok(plain?.status === 'ok' && kept?.status === 'ok', JSON.stringify([plain, kept]));
    assert.deepEqual(
      kept.kept.map((heads) => heads.map((positions) => positions.length)),
      [
        [contextTokens, contextTokens],
        [contextTokens / 2, contextTokens / 2],
        [contextTokens, contextTokens],
      ],
    );
    const held = 3 * contextTokens * kvHeads * slotBytes;
    const after = contextTokens + 3;
    assert.equal(plain.kvCacheBytes, (held / contextTokens) * after);
    for (const row of [plain, kept]) assert.equal(row.kvCacheBytes, row.expectedKvCacheBytes);
  });

  test('reads the window of a sliding layer and no more', async () => {
    const rows = await run('alternating-reads', shape);
    for (const row of rows.slice(0, 2)) {
      assert.ok(row.status === 'ok', JSON.stringify(row));
      const step = row.steps.at(-1)!;
      const whole = step.slotsBefore[2]!;
      assert.deepEqual([...step.slotsRead], [window, window, whole, whole, window, window]);
      assert.equal(step.kvBytesRead, (4 * window + 2 * whole) * slotBytes);
    }
    const selecting = rows[2]!;
    assert.ok(selecting.status === 'ok', JSON.stringify(selecting));
    const { slotsRead } = selecting.steps.at(-1)!;
    assert.deepEqual([slotsRead[0], slotsRead[5]], [window, window]);
  });
});

test('where every layer slides, methods that act on the cache are unsupported and dense runs', async () => {
  const [plain, ...others] = await run('all', { format: 'safetensors', slidingWindow: window });
  assert.equal(plain?.status, 'ok');
  for (const row of others) {
    assert.ok(row.status === 'unsupported', JSON.stringify(row));
    assert.match(row.error.message, /sliding layers only/);
  }
});
