/** Two small random models for the conformance suite: grouped heads 4:1 and plain heads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import { openBench } from '../engine/bench.js';
import { writeTinyModel } from '../engine/tiny-model.js';
import type { ConformanceBench } from './conformance-bench.js';

export interface Benches {
  readonly open: readonly ConformanceBench[];
  close(): Promise<void>;
}

/** Opens both, on the CPU in reference numerics, or says why that cannot be. */
export const openBenches = async (backend: 'cpu' | 'cuda' = 'cpu'): Promise<Benches | { readonly missing: string }> => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-conformance-'));
  const shape = { layers: 2, hiddenSize: 48, headDim: 16, ffn: 64 };
  const paths = [
    writeTinyModel(join(folder, 'grouped'), { ...shape, queryHeads: 8, kvHeads: 2 }),
    writeTinyModel(join(folder, 'plain'), { ...shape, queryHeads: 3, kvHeads: 3, seed: 2 }),
  ];
  const open: ConformanceBench[] = [];
  try {
    const numerics = backend === 'cpu' ? 'reference' : 'native';
    for (const path of paths) open.push(await openBench(path, { backend, numerics, threads: 1 }));
  } catch (thrown) {
    rmSync(folder, { recursive: true });
    if (thrown instanceof WinnowError && thrown.code === 'ERR_NATIVE_LOAD') return { missing: thrown.message };
    throw thrown;
  }
  return {
    open,
    close: async () => {
      for (const bench of open) await bench.close();
      // Conversions read the files again.
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
