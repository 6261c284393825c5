import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cudaTraces } from './cuda-traces.js';
import { runWinnow } from './run-winnow.js';

const recorded = new URL('../native/cuda/measured/2026-11-26-h100.jsonl', import.meta.url);

test('a recorded run becomes traces with their sizes, correctness and speed, ours beside the peers', () => {
  const traces = cudaTraces(readFileSync(recorded, 'utf8'), 'recorded');
  const of = (solution: string) =>
    traces.find((trace) => trace.workload.name === 'prefill-d128-h32/8-16384' && trace.solution === solution)!;
  assert.equal(of('winnow').status, 'passed');
  assert.equal(of('winnow').definition, 'prefill_attention');
  assert.deepEqual(of('winnow').correctness, { cases: 225, passed: 225, worstError: 0.00218 });
  assert.equal(of('winnow').performance?.tflops, 638.2);
  assert.equal(of('torch-sdpa-cudnn').performance?.ms, 3.7379);
  assert.equal(of('torch-sdpa-cudnn').workload.queryLen, 16_384);
  assert.equal(of('winnow').environment.device, 'NVIDIA H100 80GB HBM3, one');
  assert.deepEqual(
    traces.filter(({ status }) => status !== 'passed').map(({ workload }) => workload.name),
    [],
  );
});

test('no time is shown of an operation with a failed case, or with none', () => {
  const bench = '{"name":"decode-all-x","solution":"winnow","shape":{"kvLen":9},"ms":1,"gbps":2}\n';
  const [untested] = cudaTraces(bench, 'lines');
  assert.deepEqual([untested!.status, untested!.performance], ['untested', undefined]);
  const cases = ['ok', 'incorrect'].map(
    (status) => `{"op":"decode_attention","case":"a","status":"${status}","error":0.5}\n`,
  );
  const [wrong] = cudaTraces(cases.join('') + bench, 'lines');
  assert.deepEqual([wrong!.status, wrong!.performance], ['incorrect', undefined]);
  assert.deepEqual(wrong!.correctness, { cases: 2, passed: 1, worstError: 0.5 });
  const [failed] = cudaTraces('{"name":"decode-all-x","status":"failed","detail":"cudaErrorX"}', 'lines');
  assert.equal(failed!.status, 'failed');
});

test('a line of something else is refused by its place', () => {
  assert.throws(
    () => cudaTraces('{"name":"copy"}\nSegmentation fault', 'lines'),
    /\[ERR_RECORD\] lines:2: expected a line of JSON/,
  );
});

test('recorded lines are drawn on request; without times of attention, or for other benchmarks, nothing is written', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-traces-'));
  try {
    const chart = join(folder, 'kernels.svg');
    const drawn = await runWinnow(['bench', 'kernels', '--traces', fileURLToPath(recorded), '--out', chart]);
    assert.equal(drawn.code, 0, drawn.stderr);
    const svg = readFileSync(chart, 'utf8');
    for (const words of ['NVIDIA H100 80GB HBM3', 'PyTorch, cuDNN']) assert.ok(svg.includes(words), words);
    const none = join(folder, 'none.svg');
    const copies = join(folder, 'copies.jsonl');
    writeFileSync(copies, '{"name":"copy","gbps":3000}\n');
    for (const words of [['kernels', '--traces', copies], ['load']]) {
      const refused = await runWinnow(['bench', ...words, '--out', none]);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /--out: expected/);
      assert.ok(!existsSync(none));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
