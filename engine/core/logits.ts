import type { ModelContext } from './sample.js';

/** Rows of logits computed at once: the full matrix of a long prompt would not fit beside the weights. */
const LOGIT_ROWS = 128;

/** Logits of every position: f32 [ids.length, vocabSize], row-major. */
export const allLogits = (context: ModelContext, ids: Int32Array): Float32Array => {
  const { vocabSize } = context.facts;
  const out = new Float32Array(ids.length * vocabSize);
  for (const { start, logits } of logitBlocks(context, ids, 0)) out.set(logits, start * vocabSize);
  return out;
};

/**
 * Feeds a sequence to an empty cache and gives the logits of positions [from, ids.length) in blocks f32 [rows, vocabSize], so that memory
 * stays bounded whatever the length. Throws ERR_INTERRUPTED between blocks.
 */
export function* logitBlocks(
  context: ModelContext,
  ids: Int32Array,
  from: number,
): Generator<{ readonly start: number; readonly logits: Float32Array }> {
  const { device, transformer, shapes } = context;
  const cache = transformer.newCache();
  try {
    for (let start = 0; start < ids.length; ) {
      context.cancelled();
      const wanted = start >= from;
      const end = wanted ? Math.min(ids.length, start + LOGIT_ROWS) : Math.min(from, start + context.prefillChunk);
      const part = ids.subarray(start, end);
      const logits = transformer.run({
        ids: part,
        positions: Int32Array.from({ length: part.length }, (_, i) => start + i),
        caches: Int32Array.of(cache),
        queryLen: part.length,
        isStep: false,
        textLength: ids.length,
        logits: wanted ? 'all' : 'none',
        attend(layer, q, attended) {
          const shape = shapes[layer]!;
          device.addon.attendPrefill(
            q.id,
            cache,
            shape.kvSource,
            shape.softmaxScale,
            shape.softCap ?? 0,
            shape.slidingWindow ?? 0,
            0,
            attended.id,
            0,
          );
        },
      });
      if (logits !== undefined) yield { start, logits: device.addon.download(logits.id) as Float32Array };
      start = end;
    }
  } finally {
    device.addon.cacheFree(cache);
  }
}
