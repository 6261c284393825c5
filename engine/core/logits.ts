import type { ModelContext } from './sample.js';

/** Rows of logits computed at once: the full matrix of a long prompt would not fit beside the weights. */
const LOGIT_ROWS = 128;

/** Logits of every position: f32 [ids.length, vocabSize], row-major. */
export const allLogits = (context: ModelContext, ids: Int32Array): Float32Array => {
  const { device, transformer, shapes, facts } = context;
  const out = new Float32Array(ids.length * facts.vocabSize);
  const cache = transformer.newCache();
  try {
    for (let start = 0; start < ids.length; start += LOGIT_ROWS) {
      context.cancelled();
      const part = ids.subarray(start, Math.min(ids.length, start + LOGIT_ROWS));
      const logits = transformer.run({
        ids: part,
        positions: Int32Array.from({ length: part.length }, (_, i) => start + i),
        caches: Int32Array.of(cache),
        queryLen: part.length,
        isStep: false,
        logits: 'all',
        attend(layer, q, attended) {
          const shape = shapes[layer]!;
          device.addon.attendPrefill(
            q.id,
            cache,
            layer,
            1 / Math.sqrt(shape.headDim),
            shape.softCap ?? 0,
            shape.slidingWindow ?? 0,
            0,
            attended.id,
            0,
          );
        },
      });
      out.set(device.addon.download(logits!.id) as Float32Array, start * facts.vocabSize);
    }
  } finally {
    device.addon.cacheFree(cache);
  }
  return out;
};
