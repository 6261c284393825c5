import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { resolveMethod } from '../methods/load.js';
import { timeShares } from '../results/charts/time-shares.js';
import { renderChart } from '../results/render.js';
import { densePrefill } from './dense-passes.js';
import { openLocal } from './local.js';
import { type OpCall, type OpTimer, timeOps } from './op-timing.js';
import { profileTime } from './profile-time.js';
import { layerTimes, opShares } from './roofline.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-profile-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const shape = { layers: 3, hiddenSize: 64, queryHeads: 8, kvHeads: 2, headDim: 16, ffn: 96, vocab: 300 };
const model = writeTinyModel(folder, shape);
const options = {
  backend: 'cpu',
  numerics: 'native',
  isa: 'auto',
  threads: 1,
  prefillChunk: 1024,
  resolveMethod,
  cancelled: () => {},
} as const;

test('calls of a prefill are given to their layers, with the products and pairs that the shapes say', () => {
  let timer: OpTimer | undefined;
  const engine = openLocal(model, {
    ...options,
    wrapAddon: (addon) => {
      timer = timeOps(addon, () => shape.vocab);
      return timer.addon;
    },
  });
  try {
    const ids = Int32Array.from({ length: 50 }, (_, i) => 5 + i);
    // The first pass makes the table of rotary angles.
    densePrefill(engine.context, ids);
    timer!.begin();
    densePrefill(engine.context, ids);
    const calls = timer!.end();
    const own = (layer: number | undefined) => calls.filter((call) => call.layer === layer).map(({ op }) => op);
    assert.deepEqual(own(0), own(1));
    assert.deepEqual(own(1), own(2));
    assert.equal(own(1).filter((op) => op === 'attendPrefill').length, 1);
    // qkv, output, down, and gate with up in one or two calls.
    const products = calls.filter(({ op, layer }) => op.startsWith('linear') && layer === 1);
    const weights = 64 * (128 + 32 + 32) + 128 * 64 + 3 * 64 * 96;
    assert.equal(
      products.reduce((sum, { flops }) => sum + flops, 0),
      2 * 50 * weights,
    );
    const attention = calls.find(({ op }) => op === 'attendPrefill')!;
    assert.equal(attention.flops, 4 * ((50 * 51) / 2) * 8 * 16);
    const head = calls.filter(({ op }) => op === 'head');
    assert.deepEqual(
      head.map(({ layer, flops }) => [layer, flops]),
      [[undefined, 2 * 64 * 300]],
    );
    assert.ok(calls.every(({ ms }) => ms >= 0) && head[0]!.bytes > 0);
    // Nothing is watched between.
    densePrefill(engine.context, ids);
    timer!.begin();
    assert.deepEqual(timer!.end(), []);
  } finally {
    engine.close();
  }
});

test('shares add up, medians leave a disturbed pass out, and the bound is the slower of the two roofs', () => {
  const call = (op: string, layer: number | undefined, ms: number, flops: number, bytes: number): OpCall => ({
    op,
    shape: 's',
    layer,
    ms,
    flops,
    bytes,
  });
  const pass = (scale: number) => [
    call('linear', 0, 2 * scale, 4e9, 1e6),
    call('linear', 1, 2 * scale, 4e9, 1e6),
    call('attend', 1, 4 * scale, 1e6, 8e8),
    call('upload', undefined, 2 * scale, 0, 0),
  ];
  const passes = [pass(1), pass(9), pass(1)];
  // 8e9 flops at 4000 GFLOP/s take 2 ms of the 4 measured; 8e8 bytes at 400 GB/s take 2 ms of 4.
  const ops = opShares(passes, { gigaflops: 4000, gigabytesPerSecond: 400 });
  assert.deepEqual(
    ops.map(({ op, calls, ms, share, ofRoof, bound }) => [op, calls, ms, share, ofRoof, bound]),
    [
      ['linear', 2, 4, 0.4, 0.5, 'compute'],
      ['attend', 1, 4, 0.4, 0.5, 'memory'],
      ['upload', 1, 2, 0.2, undefined, undefined],
    ],
  );
  assert.equal(ops[0]!.gigaflops, 2000);
  assert.deepEqual(layerTimes(passes, 2), { layerMs: [2, 6], aroundMs: 2 });
});

test('a profile holds prefill and decode passes with layers, and draws as a chart', async () => {
  const seen: string[] = [];
  const found = await profileTime(
    model,
    options,
    {
      prefill: [40],
      decode: [
        { tokens: 40, rows: 1 },
        { tokens: 40, rows: 3 },
      ],
    },
    ({ phase, rows }) => void seen.push(`${phase} ${rows}`),
  );
  assert.deepEqual(seen, ['prefill 1', 'decode 1', 'decode 3']);
  assert.ok(found.roof.gigaflops > 0 && found.roof.gigabytesPerSecond > 0);
  for (const pass of found.passes) {
    assert.ok(pass.wallMs > 0 && pass.outsideShare > -0.05 && pass.outsideShare < 1);
    assert.ok(Math.abs(pass.ops.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
    assert.equal(pass.layerMs.length, shape.layers);
    const attention = pass.ops.find(({ op }) => op.startsWith('attend'))!;
    assert.equal(attention.calls, shape.layers);
  }
  const { svg } = await renderChart(timeShares('tiny', found));
  assert.match(svg, /decode after 40, 3 rows/);
});
