import { spawn } from 'node:child_process';
import { median } from '../../core/statistics.js';
import { alone, type BenchRow } from '../bench-rows.js';
import { compare } from './compare.js';
import { ids, msOf, sampleOf, tokensPerSecond, type Workbench } from './workbench.js';

/** Opening the default model, from its file to ready, beside transformers from its folder. */
export async function* loadRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  const request = { path: bench.modelPath, numerics: 'native', threads: bench.threads, isa: bench.isa };
  yield await bench.row({
    name: 'load',
    isa: ours.isa,
    shape: `${(ours.weightBytes / 1e6).toFixed(0)} MB of packed weights`,
    turns: bench.rounds,
    ours: () => msOf(ours.ask('load', request)),
    rate: (ms) => ({ value: 1e3 / ms, unit: 'loads/s' }),
    peer: {
      needs: 'torch',
      name: 'torch bf16',
      measure: async () => msOf((await bench.torch()).ask('load', { folder: bench.peers.modelFolder, dtype: 'bf16' })),
    },
  });
}

/** Peak resident memory of a process that runs 8K tokens, above weights and cache. */
export async function* memoryRows(bench: Workbench): AsyncGenerator<BenchRow> {
  // A fresh process: a warm one would count what earlier rows needed.
  const ours = await bench.fresh();
  const start = performance.now();
  const { cacheBytes } = await ours.ask<{ cacheBytes: number }>('decode', {
    ids: ids(8000),
    rows: 1,
    newTokens: 16,
    repeats: 1,
  });
  const took = performance.now() - start;
  const { peakBytes, weightBytes } = await ours.ask<{ peakBytes: number; weightBytes: number }>('memory');
  const above = (peakBytes - weightBytes - cacheBytes) / 1e6;
  const shape = `8000 tokens: ${((weightBytes + cacheBytes) / 1e6).toFixed(0)} MB of weights and cache`;
  yield alone({ name: 'memory', isa: ours.isa, shape }, took, 1, { value: above, unit: 'MB above them, process peak' });
}

const methods = ['random', 'streaming-llm', 'snapkv', 'tova', 'knorm'] as const;

/** Time of a run with many methods that is not spent in native ops. */
export async function* overheadRows(bench: Workbench): AsyncGenerator<BenchRow> {
  const ours = await bench.ours();
  const settings = [
    { key: 'dense', method: { id: 'dense', params: {} } },
    ...[...methods, 'quest'].flatMap((id) =>
      [0.5, 0.25].map((kept) => ({ key: `${id} ${kept}`, method: { id, params: {} }, keptFraction: kept })),
    ),
  ];
  for (const newTokens of [12, 64]) {
    const shares: number[] = [];
    const times: number[] = [];
    for (let round = 0; round <= bench.rounds; round++) {
      bench.signal.throwIfAborted();
      const request = sampleOf(1024, settings, newTokens);
      const { nativeMs, totalMs } = await ours.ask<{ nativeMs: number; totalMs: number }>('matrix', { request });
      if (round === 0) continue;
      shares.push((1 - nativeMs / totalMs) * 100);
      times.push(totalMs);
    }
    const shape = `${settings.length} settings, 1K tokens, ${newTokens} new`;
    const rate = { value: median(shares), unit: '% outside native ops' };
    yield alone({ name: 'overhead', isa: ours.isa, shape }, median(times), times.length, rate);
  }
}

/** Decode with all threads beside decode with one fewer, while another process keeps one core busy. */
export async function* busyCoreRows(bench: Workbench): AsyncGenerator<BenchRow> {
  if (bench.threads < 2) return;
  const few = bench.threads - 1;
  const [all, less] = [await bench.ours(), await bench.ours('native', few)];
  const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  try {
    const steps = (side: typeof all) => async () =>
      (await side.ask<{ ms: number[] }>('decode', { ids: ids(1024), rows: 1, newTokens: 32, repeats: 1 })).ms;
    yield await compare(
      {
        name: 'busy-core',
        isa: all.isa,
        shape: `decode after 1024 tokens, ${bench.threads} threads, one core taken`,
        turns: bench.rounds,
        ours: steps(all),
        peer: { name: `winnow, ${few} thread${few === 1 ? '' : 's'}`, measure: steps(less) },
        rate: tokensPerSecond(1),
      },
      bench.signal,
    );
  } finally {
    busy.kill();
  }
}
