import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../core/statistics.js';
import { openLocal } from '../engine/local.js';
import { writeTinyModel } from '../engine/tiny-model.js';
import { resolveMethod } from '../methods/load.js';
import type { Addon } from '../native/addon-types.js';
import { alone, type BenchRow } from './bench-rows.js';

/** Layers and KV heads of Llama 3.1 8B, and next to nothing in them: books are as many, products are none. */
const MODEL = { layers: 32, queryHeads: 8, kvHeads: 8, headDim: 64, hiddenSize: 64, ffn: 96, vocab: 300, seed: 1 };
const CONTEXT = 2048;
const STEPS = 150;
const ROWS = [1, 16, 64];

/**
 * The host's share of decode steps on the cuda backend: milliseconds from a step's token until the device is asked for anything (`first
 * op`) and for the first attention (`first layer`), and of a whole step. WINNOW_CUDA_BINARY names the host build, where ops are left out;
 * on a GPU whole steps are those of a tiny model.
 */
export async function* benchSteps(): AsyncGenerator<BenchRow> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-bench-steps-'));
  try {
    const watch = watchedSteps();
    const engine = openLocal(writeTinyModel(folder, { ...MODEL, maxPositions: 4 * CONTEXT }), {
      backend: 'cuda',
      numerics: 'native',
      isa: 'auto',
      threads: 1,
      prefillChunk: CONTEXT,
      resolveMethod,
      cancelled: () => {},
      wrapAddon: watch.wrap,
    });
    try {
      for (const rows of ROWS) {
        watch.restart(rows);
        const [timing] = await engine.timeBatches({
          sampleId: 'bench',
          seed: 1,
          prompt: {
            context: 'x'.repeat(CONTEXT),
            question: '?',
            answerPrefix: '',
            documents: [],
            evidence: [],
            chatTemplate: false,
          },
          stop: [],
          protocol: 'query-aware',
          maxNewTokens: STEPS,
          setting: { key: 'dense', method: { id: 'dense', params: {} } },
          sizes: [rows],
        });
        if (timing?.status !== 'ok') throw new Error(timing?.error.message);
        const { firstOp, firstLayer } = watch.times();
        const times = { 'first op': median(firstOp), 'first layer': median(firstLayer), step: timing.stepMs };
        for (const [name, ms] of Object.entries(times)) {
          const shape = `${rows} rows, ${MODEL.layers} layers`;
          yield alone({ name: `host: ${name}`, isa: '-', shape }, ms, timing.steps, { value: 1e3 / ms, unit: '/s' });
        }
      }
    } finally {
      await engine.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An addon that looks at the clock when a token has come and when the calls behind it have been made. */
const watchedSteps = () => {
  let [firstOp, firstLayer]: [number[], number[]] = [[], []];
  let arrived = Number.NaN;
  let [wanted, replays] = [0, 0];
  return {
    wrap(addon: Addon): Addon {
      addon.leaveOutOps?.(1);
      const { download, upload, replay } = addon;
      return {
        ...addon,
        download(t) {
          const values = download(t);
          arrived = values.length === wanted ? performance.now() : Number.NaN;
          replays = 0;
          return values;
        },
        upload(t, values) {
          upload(t, values);
          // Ids and positions. Batches of other sizes are run to see what fits.
          if (values.length === 2 * wanted && !Number.isNaN(arrived)) firstOp.push(performance.now() - arrived);
        },
        replay(program, length, lists) {
          replay!(program, length, lists);
          // The first is the product for queries, keys and values; the second ends the layer.
          if (++replays === 2 && !Number.isNaN(arrived)) firstLayer.push(performance.now() - arrived);
        },
      };
    },
    restart(rows: number) {
      wanted = rows;
      [firstOp, firstLayer] = [[], []];
    },
    times: () => ({ firstOp, firstLayer }),
  };
};
