/** Dense prefill and decode of ids with the clock outside: what profiles and comparisons repeat. */
import type { Method } from '../methods/contract.js';
import type { MethodRef } from './contract.js';
import { decode } from './core/decode.js';
import { tailOf } from './core/fed-prompt.js';
import { prefill } from './core/prefill.js';
import { type ModelContext, openSample } from './core/sample.js';
import { bindMethod, resolveSetting } from './core/settings.js';

/** A whole prompt with its cache and the logits of the last token. Returns milliseconds. */
export const densePrefill = (context: ModelContext, ids: Int32Array): number => {
  const { device, transformer, shapes, prefillChunk: chunk, cancelled } = context;
  const cache = transformer.newCache();
  try {
    const start = performance.now();
    prefill(device, transformer, shapes, {
      ids,
      cache,
      firstPosition: 0,
      chunk,
      windowRows: 0,
      wantLogits: true,
      cancelled,
    });
    return performance.now() - start;
  } finally {
    device.addon.cacheFree(cache);
  }
};

export interface DenseDecode {
  readonly ids: Int32Array;
  /** Forks of the prompt that decode as one batch. */
  readonly rows: number;
  readonly steps: number;
  /** After the prompt's last token and after each step. */
  onToken(): void;
}

/** Prefills `ids`, then takes decode steps that no stop token ends. Returns the bytes of all rows' caches at the end. */
export const denseDecode = async (
  context: ModelContext,
  resolve: (ref: MethodRef) => Promise<Method>,
  { ids, rows, steps, onToken }: DenseDecode,
): Promise<number> => {
  const prompt = { contextIds: ids.subarray(0, -1), questionIds: ids.subarray(-1), evidence: [], tailTokens: 1 };
  const method = { id: 'dense', params: {} };
  const bound = await bindMethod(method, resolve);
  const settings = Array.from({ length: rows }, (_, row) =>
    resolveSetting({ key: `${row}`, method }, bound, context.facts, 'query-aware', prompt.contextIds.length),
  );
  const maxNewTokens = steps + 1;
  const spec = { prompt, protocol: 'query-aware', sampleSeed: 0, maxNewTokens, standAlone: false } as const;
  const sample = await openSample(context, spec, settings);
  try {
    const job = { sample, tailIds: tailOf(prompt, 'query-aware'), maxNewTokens, holdsStop: () => false };
    decode(context, [job], { isStop: () => false, recallSteps: 0, onToken });
    return context.device.addon.cacheBytes(sample.groups[0]!.rows[0]!.cache) * rows;
  } finally {
    sample.close();
  }
};
