import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { openBench } from '../engine/bench.js';
import { writeTinyModel } from '../engine/tiny-model.js';
import { type Benches, type ConformanceOptions, conforms } from './conformance.js';
import { methods } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'winnow-conformance-'));

/** One pair of benches for all methods: grouped heads 4:1 and plain heads, both tiny. */
const openBoth = async (): Promise<Benches> => {
  const shape = { layers: 2, hiddenSize: 48, headDim: 16, ffn: 64 };
  const grouped = writeTinyModel(join(folder, 'gqa'), { ...shape, queryHeads: 8, kvHeads: 2 });
  const plain = writeTinyModel(join(folder, 'mha'), { ...shape, queryHeads: 3, kvHeads: 3, seed: 2 });
  const open = await Promise.all(
    [grouped, plain].map((path) => openBench(path, { numerics: 'reference', threads: 1 })),
  );
  return { open };
};

let benches: Promise<Benches> | undefined;
const shared = (): Promise<Benches> => {
  benches ??= openBoth().catch((thrown) => {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    if (/ERR_NATIVE/.test(message)) return { missing: `the native addon is not built: ${message}` };
    throw thrown;
  });
  return benches;
};

after(async () => {
  const found = await benches;
  if (found !== undefined && 'open' in found) for (const bench of found.open) await bench.close();
  rmSync(folder, { recursive: true });
});

const randomHeads = 'chooses at random, anew for each head';

/** Sizes that fit a context of about a hundred tokens. */
const options: Readonly<Record<string, ConformanceOptions>> = {
  random: { params: { sinkTokens: 2, recentTokens: 4 }, randomised: randomHeads },
  oracle: { params: { sinkTokens: 2, recentTokens: 4 }, randomised: randomHeads },
  snapkv: { params: { observationWindow: 6 } },
  kivi: { params: { residualTokens: 16, groupSize: 16, bits: 4 }, contextTokens: 192 },
  quest: { params: { denseLayers: 0 } },
  'snapkv+quest+kivi': {
    params: {
      snapkv: { observationWindow: 6 },
      quest: { denseLayers: 0 },
      kivi: { residualTokens: 16, groupSize: 16 },
    },
    contextTokens: 192,
  },
};

for (const method of methods) conforms(method, options[method.id] ?? {}, shared);
