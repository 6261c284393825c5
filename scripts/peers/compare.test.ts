import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BenchRow } from '../bench-rows.js';
import { compare } from './compare.js';
import { findPeers } from './install.js';
import { startPeer } from './peer-process.js';
import { performanceTables, withRow } from './results.js';
import { targetOf } from './targets.js';

const never = new AbortController().signal;
const facts = { name: 'prefill', isa: 'avx2', shape: '1024 tokens' };
const rate = (ms: number) => ({ value: 1 / ms, unit: 'a ms' });

test('both sides are measured in turn, the first one alternating, and the ratio is of rounds, not of medians', async () => {
  const order: string[] = [];
  // The machine slows down by ten after two rounds: ratios of rounds stay 2 and 4.
  const oursMs = [1, 1, 10, 10, 10];
  const peerMs = [2, 4, 20, 20, 40];
  const row = await compare(
    {
      ...facts,
      ours: async () => {
        order.push('ours');
        return oursMs.shift()!;
      },
      peer: {
        name: 'other',
        measure: async () => {
          order.push('peer');
          return peerMs.shift()!;
        },
      },
      turns: 5,
      rate,
      isWarm: true,
    },
    never,
  );
  assert.deepEqual(order, ['ours', 'peer', 'peer', 'ours', 'ours', 'peer', 'peer', 'ours', 'ours', 'peer']);
  assert.deepEqual([row.ratio, row.ratioLow, row.ratioHigh, row.rounds], [2, 2, 4, 5]);
  assert.deepEqual([row.oursMs, row.peerMs, row.peer, row.rate.value], [10, 20, 'other', 0.1]);
});

test('a first call of each side warms up and is not counted; repeats of one turn are rounds', async () => {
  let calls = 0;
  const row = await compare(
    {
      ...facts,
      ours: async () => [++calls, 1, 1],
      peer: { name: 'other', measure: async () => [3, 3, 3] },
      turns: 2,
      rate,
    },
    never,
  );
  assert.equal(calls, 3);
  assert.equal(row.rounds, 6);
});

test('a process answers by lines, says why it failed, and its end fails what waits', async () => {
  const echo = `
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { call, value } = JSON.parse(line);
      if (call === 'end') process.exit(3);
      console.log(JSON.stringify(call === 'fail' ? { error: 'no such thing' } : { value, blas: process.env.OPENBLAS_CORETYPE ?? null }));
    });`;
  process.env.OPENBLAS_CORETYPE = 'x';
  const peer = startPeer('echo', [process.execPath, '-e', echo], never);
  delete process.env.OPENBLAS_CORETYPE;
  try {
    const answers = await Promise.all([peer.ask('echo', { value: 1 }), peer.ask('echo', { value: 2 })]);
    assert.deepEqual(answers, [
      { value: 1, blas: null },
      { value: 2, blas: null },
    ]);
    await assert.rejects(peer.ask('fail'), /peer echo.*no such thing/);
    await assert.rejects(peer.ask('end'), /code 3/);
    await assert.rejects(peer.ask('echo'), /code 3/);
  } finally {
    peer.close();
  }
});

test('our side prefills, decodes and multiplies as its rows ask, on a tiny model', async () => {
  const { mkdtempSync, rmSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  const path = await import('node:path');
  const { writeTinyModel } = await import('../../engine/tiny-model.js');
  const folder = mkdtempSync(path.join(tmpdir(), 'winnow-peer-'));
  const entry = fileURLToPath(new URL('winnow-peer.ts', import.meta.url));
  const ours = startPeer('winnow', [process.execPath, '--import', import.meta.resolve('tsx'), entry], never);
  try {
    await assert.rejects(ours.ask('memory'), /load before/);
    const loaded = await ours.ask<{ isa: string; weightBytes: number }>('load', {
      path: writeTinyModel(folder),
      numerics: 'native',
      threads: 1,
      isa: 'auto',
    });
    assert.ok(loaded.weightBytes > 0);
    const ids = Array.from({ length: 40 }, (_, i) => 10 + i);
    assert.ok((await ours.ask<{ ms: number }>('prefill', { ids })).ms > 0);
    const decoded = await ours.ask<{ ms: number[]; cacheBytes: number }>('decode', {
      ids,
      rows: 3,
      newTokens: 4,
      repeats: 2,
    });
    assert.equal(decoded.ms.length, 2);
    assert.ok(decoded.ms.every((ms) => ms > 0) && decoded.cacheBytes > 0);
    assert.ok(
      (await ours.ask<{ ms: number }>('gemm', { tokens: 4, cols: 64, rows: 64, type: 'BF16', repeats: 2 })).ms > 0,
    );
  } finally {
    ours.close();
    rmSync(folder, { recursive: true });
  }
});

const row: BenchRow = {
  ...facts,
  oursMs: 300,
  peer: 'torch bf16',
  peerMs: 600,
  ratio: 2,
  ratioLow: 1.8,
  ratioHigh: 2.2,
  rounds: 9,
  rate: { value: 3400, unit: 'tokens/s' },
};

test('targets follow the machine, and the table says what was missed', () => {
  assert.deepEqual(targetOf(row), { text: 'ratio ≥ 1.9', isMet: true });
  assert.deepEqual(targetOf({ ...row, isa: 'amx', ratio: 1.1 }), { text: 'ratio ≥ 1.2', isMet: false });
  assert.deepEqual(targetOf({ ...row, shape: '4096 tokens' }), { text: 'ratio ≥ 2.5', isMet: false });
  assert.equal(targetOf({ ...row, name: 'unknown' }), undefined);
  const decode = {
    ...row,
    name: 'decode',
    peer: 'llama.cpp',
    ratio: 3,
    rate: { value: 60, unit: '% of 60 GB/s read' },
  };
  assert.deepEqual(targetOf(decode), { text: 'ratio ≥ 2.3 and ≥ 70 %', isMet: false });
  const stored = { date: '2026-01-02', machine: 'Model X, 2 cores', commit: 'abc' };
  const table = performanceTables([{ ...row, ...stored }], ['prefill']);
  assert.match(table, /\*\*Model X, 2 cores, avx2\*\*, 2026-01-02/);
  assert.match(
    table,
    /\| prefill \| 1024 tokens \| 300 \| 3400 tokens\/s \| torch bf16 \| 600 \| 2.00 \| 1.80 – 2.20 \| 9 \| ratio ≥ 1.9: met \|/,
  );
  const alone = { ...row, peer: null, peerMs: null, ratio: null, ratioLow: null, ratioHigh: null, ...stored };
  assert.match(performanceTables([alone], ['prefill']), /\| {2}\| {2}\| {2}\| {2}\| 9 \| {2}\|/);
});

test('peers that are not installed are absent with a reason', () => {
  process.env.WINNOW_CACHE = '/nonexistent/winnow-cache';
  try {
    const { absent } = findPeers({ torch: 'no network' });
    assert.equal(absent.torch, 'no network');
    assert.match(absent['llama.cpp'] ?? '', /not installed/);
  } finally {
    delete process.env.WINNOW_CACHE;
  }
});

test('a row measured again replaces the older one, and a row beside a peer the one that had none', () => {
  const stored = { ...row, date: '2026-01-02', machine: 'X', commit: 'abc' };
  const alone = { ...stored, peer: null };
  const other = { ...stored, peer: 'llama.cpp' };
  const again = { ...stored, ratio: 3 };
  assert.deepEqual(withRow([alone, other], stored), [other, stored]);
  assert.deepEqual(withRow([other, stored], again), [other, again]);
  assert.deepEqual(withRow([{ ...stored, machine: 'Y' }], again), [{ ...stored, machine: 'Y' }, again]);
});
