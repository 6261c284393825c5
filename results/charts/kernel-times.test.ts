/** The chart of kernels: its places against the recorded lines and closed forms. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderChart } from '../render.js';
import { type KernelTime, kernelTimes } from './kernel-times.js';

const shape = { headDim: 128, numQueryHeads: 32, numKvHeads: 8 };
const prefill = { name: 'prefill-d128-h32/8-16384', ...shape, queryLen: 16_384 };
const list = { name: 'prefill-list-d128-32768-25%', ...shape, queryLen: 32_768, density: 0.25 };
const pages = { name: 'decode-pages-d128-h32/8-b1-131072-5%', ...shape, batch: 1, kvLen: 131_072 };
const smallPages = { name: 'decode-pages-d128-h32/8-b16-8192-50%-page16', ...shape, batch: 16, kvLen: 8192 };
const rows = { name: 'decode-all-d128-h32/8-b16-8192', ...shape, batch: 16, kvLen: 8192 };
const times: readonly KernelTime[] = [
  { workload: prefill, solution: 'winnow', ms: 3.4, tflops: 640 },
  { workload: prefill, solution: 'winnow-v9', ms: 3, tflops: 700 },
  { workload: prefill, solution: 'torch-sdpa-cudnn', ms: 3.7, tflops: 590 },
  { workload: pages, solution: 'winnow', ms: 0.02, gbps: 1500, ofCopy: 0.5 },
  { workload: rows, solution: 'torch-sdpa-flash', ms: 0.2, gbps: 2400 },
  { workload: smallPages, solution: 'winnow', ms: 0.1, gbps: 2550, ofCopy: 0.85 },
  { workload: list, solution: 'winnow-dense', ms: 12 },
  { workload: list, solution: 'winnow', ms: 3.6, tflops: 500 },
];

interface Panel {
  readonly layer: readonly { readonly data: { readonly values: readonly object[] } }[];
}

test('prefill is drawn in TFLOP/s, decode as a share of copies, lists as time over density times dense', async () => {
  const spec = kernelTimes(times, 'NVIDIA H100')!;
  const panels = (spec as unknown as { vconcat: readonly Panel[] }).vconcat;
  assert.deepEqual(
    panels.map(({ layer }) => layer.at(-1)!.data.values),
    [
      [
        { row: '16k tokens, d 128, 32/8 heads', solution: 'Winnow', value: 640 },
        { row: '16k tokens, d 128, 32/8 heads', solution: 'PyTorch, cuDNN', value: 590 },
      ],
      [
        { row: '128k tokens, d 128, 32/8 heads, 5% of its pages', solution: 'Winnow', value: 0.5 },
        { row: '16 × 8k tokens, d 128, 32/8 heads', solution: 'PyTorch, flash', value: 0.8 },
        { row: '16 × 8k tokens, d 128, 32/8 heads, 50% of its pages of 16', solution: 'Winnow', value: 0.85 },
      ],
      [{ row: '32k tokens, density 0.25', solution: 'Winnow', value: 1.2 }],
    ],
  );
  const { svg } = await renderChart(spec);
  for (const words of ['NVIDIA H100', 'PyTorch, cuDNN', 'share of copy bandwidth'])
    assert.ok(svg.includes(words), words);
  assert.ok(!svg.includes('…'), 'no label is cut');
});

test('lines without times of attention have no chart', () => {
  assert.equal(kernelTimes([], 'a'), undefined);
  assert.equal(kernelTimes([{ workload: { name: 'linear-qkv-t1' }, solution: 'winnow', ms: 1 }], 'a'), undefined);
});
