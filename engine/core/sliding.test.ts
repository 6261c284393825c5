/** What a model with sliding layers reads, holds and refuses. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { snapkv } from '../../methods/cache/snapkv.js';
import type { BenchRequest, BenchRow, BenchSetting } from '../../methods/conformance-bench.js';
import { dense } from '../../methods/control/dense.js';
import { quest } from '../../methods/decode/quest.js';
import { parseParams } from '../../methods/params.js';
import { openBench } from '../bench.js';
import { type TinyModelOptions, writeTinyModel } from '../tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-sliding-'));
after(() => rmSync(root, { recursive: true, force: true }));

const contextTokens = 200;
const window = 64;
const pageSlots = 64;
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

  test('is evicted from in that one; the others keep their window and a page, and that is what is counted', async () => {
    const [plain, kept] = await run('alternating', shape);
    assert.ok(plain?.status === 'ok' && kept?.status === 'ok', JSON.stringify([plain, kept]));
    assert.deepEqual(
      kept.kept.map((heads) => heads.map((positions) => positions.length)),
      [
        [contextTokens - pageSlots, contextTokens - pageSlots],
        [contextTokens / 2, contextTokens / 2],
        [contextTokens - pageSlots, contextTokens - pageSlots],
      ],
    );
    assert.equal(kept.kept[0]![0]![0], pageSlots);
    assert.equal(plain.kvCacheBytes, (3 * (contextTokens + 3) - 2 * pageSlots) * kvHeads * slotBytes);
    for (const row of [plain, kept]) {
      assert.equal(row.kvCacheBytes, row.expectedKvCacheBytes);
      assert.equal(row.kvCacheBytesEnd, row.expectedKvCacheBytesEnd);
    }
  });

  test('answers as if nothing had been given back, for as long as it goes on', async () => {
    const bench = await openBench(writeTinyModel(join(root, 'long'), shape), { numerics: 'reference', threads: 1 });
    const all = ids(contextTokens + 150);
    const request = {
      questionIds: Int32Array.of(7, 8),
      settings: [{ key: 'dense', method: dense, params: {} }],
      protocol: 'query-aware',
      sampleSeed: 1,
    } as const;
    try {
      const before = bench.memory().cacheBytes;
      // Steps give pages back as they go, chunks between them, a prompt in one piece only once it is read.
      const answer = async (part: Partial<BenchRequest>) => {
        const [row] = await bench.run({ ...request, contextIds: all, maxNewTokens: 1, ...part });
        assert.ok(row?.status === 'ok', JSON.stringify(row));
        return row;
      };
      const rest = all.subarray(contextTokens);
      const answers = [
        await answer({ prefillChunk: all.length + 2 }),
        await answer({ prefillChunk: 64 }),
        await answer({
          contextIds: all.subarray(0, contextTokens),
          questionIds: rest.subarray(0, 1),
          forcedTokens: Int32Array.of(...rest.subarray(1), 7, 8),
          maxNewTokens: rest.length + 2,
        }),
      ];
      const [whole, chunked, stepped] = answers.map((row) => row.logits.at(-1)!);
      assert.deepEqual(chunked, whole);
      stepped!.forEach((value, i) => {
        assert.ok(Math.abs(value - whole![i]!) < 1e-4, `logit ${i}: ${value} is not ${whole![i]}`);
      });
      assert.equal(answers[2]!.kvCacheBytesEnd, answers[2]!.expectedKvCacheBytesEnd);
      const end = contextTokens + 152;
      const held = end - pageSlots * Math.floor((end - (window - 1) - pageSlots) / pageSlots);
      assert.equal(answers[2]!.kvCacheBytesEnd, (end + 2 * held) * kvHeads * slotBytes);
      assert.equal(bench.memory().cacheBytes, before);
    } finally {
      await bench.close();
    }
  });

  test('leaves layers that slide to the engine: an action on one fails its setting', async () => {
    const bench = await openBench(writeTinyModel(join(root, 'refuse'), shape), { numerics: 'reference', threads: 1 });
    const careless: BenchSetting['method'] = {
      ...dense,
      id: 'careless',
      hooks: () => ({
        cache: {
          finishPrefill: (views) =>
            views.map(({ layer, ops, slots }) => ({
              layer,
              actions: [{ kind: 'keep', slots: ops.sinkRecent(slots, [50], 4) }],
            })),
        },
      }),
    };
    try {
      const [row] = await bench.run({
        contextIds: ids(contextTokens),
        questionIds: Int32Array.of(7),
        settings: [{ key: 'careless', method: careless, params: {} }],
        protocol: 'query-agnostic',
        maxNewTokens: 1,
        sampleSeed: 1,
      });
      assert.ok(row?.status === 'failed', JSON.stringify(row));
      assert.match(row.error.message, /layer 0, which slides/);
    } finally {
      await bench.close();
    }
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
