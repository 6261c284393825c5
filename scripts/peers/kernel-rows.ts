import type { BenchRow } from '../bench-rows.js';
import { msOf, type Workbench } from './workbench.js';

/** Milliseconds that a round of a short kernel lasts. */
const ROUND_MS = 60;

interface Roof {
  readonly f32: number;
  readonly bf16: number;
  readonly int8: number;
  readonly read: number;
}

/** Dense products of a prefill chunk beside torch, with their share of the measured dot-product peak. */
export async function* gemmRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  const roof = await ours.ask<Roof>('roof', { threads: bench.threads });
  // A machine without bf16 dot products multiplies in f32.
  const peak = roof.bf16 > 0 ? roof.bf16 : roof.f32;
  for (const [cols, rows] of [
    [576, 960],
    [576, 3072],
    [1536, 576],
    [2048, 8192],
  ] as const) {
    for (const type of ['BF16', 'Q4_1'] as const) {
      const tokens = 1024;
      const operations = 2 * tokens * cols * rows;
      const repeats = Math.max(1, Math.round((ROUND_MS * peak * 1e6) / operations));
      yield await bench.row({
        name: 'gemm',
        isa: ours.isa,
        shape: `${tokens}x${cols}x${rows} ${type}`,
        turns: bench.rounds,
        ours: () => msOf(ours.ask('gemm', { tokens, cols, rows, type, repeats })),
        rate: (ms) => ({ value: (operations / ms / 1e6 / peak) * 100, unit: `% of ${peak.toFixed(0)} GFLOP/s` }),
        peer: {
          needs: 'torch',
          name: 'torch bf16',
          measure: async () => msOf((await bench.torch()).ask('gemm', { dtype: 'bf16', tokens, cols, rows, repeats })),
        },
      });
    }
  }
}

/** Causal attention of a whole prompt in one layer of the default model beside torch's scaled_dot_product_attention. */
export async function* attentionRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  const [queryHeads, kvHeads, headDim] = [9, 3, 64];
  for (const tokens of [1024, 4096]) {
    const operations = 4 * ((tokens * (tokens + 1)) / 2) * queryHeads * headDim;
    const repeats = Math.max(1, Math.round((ROUND_MS * 5e8) / operations));
    const heads = { query_heads: queryHeads, kv_heads: kvHeads, head_dim: headDim };
    yield await bench.row({
      name: 'attention-prefill',
      isa: ours.isa,
      shape: `${tokens} tokens, ${queryHeads}/${kvHeads} heads of ${headDim}`,
      turns: bench.rounds,
      ours: () => msOf(ours.ask('attention', { tokens, queryHeads, kvHeads, headDim, repeats })),
      rate: (ms) => ({ value: operations / ms / 1e6, unit: 'GFLOP/s' }),
      peer: {
        needs: 'torch',
        name: 'torch SDPA bf16',
        measure: async () =>
          msOf(
            (await bench.torch()).ask('attention', { dtype: 'bf16', tokens, ...heads, repeats: 1 + (repeats >> 2) }),
          ),
      },
    });
  }
}
