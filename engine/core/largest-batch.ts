import { WinnowError } from '../../core/errors.js';
import type { Addon } from '../../native/addon-types.js';

/** Rows of the largest batch: the products of a step are made for as many. */
export const MOST_BATCH_ROWS = 64;

/**
 * Share of a device's memory that no batch is planned into, as servers leave it: the driver's own, and what lies idle in its pools, of which
 * pages never go back to the blocks that the next prompt needs.
 */
const RESERVED_SHARE = 0.1;

/** Bytes as measured with one row. */
export interface MeasuredRow {
  /** Held with the prompt of one row fed and compressed: weights, workspaces and that row. */
  readonly held: number;
  /** Pages of another row. */
  readonly copy: number;
  /** What the answer's steps took beside. */
  readonly growth: number;
  /** Held at once, at most, while one prompt was fed and compressed. */
  readonly prefillPeak: number;
}

/**
 * Rows that fit `limit` bytes: while all decode, and while the prompt of the last is fed, the others being there. 0 when not one does.
 */
export const largestBatch = (limit: number, { held, copy, growth, prefillPeak }: MeasuredRow): number => {
  const more = Math.min(limit - held - growth, limit - prefillPeak) / (copy + growth);
  return more < 0 ? 0 : Math.min(MOST_BATCH_ROWS, 1 + Math.floor(more));
};

/** The bytes that the largest batch has to fit. Throws ERR_UNSUPPORTED where no memory is stated and none can be asked. */
export const memoryLimit = (addon: Addon, stated: number | undefined): number => {
  const bytes = stated ?? (addon.deviceFacts?.().memoryBytes ?? 0) * (1 - RESERVED_SHARE);
  if (bytes > 0) return Math.floor(bytes);
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    'largest batch',
    'a stated memory, as the backend is not a device with its own',
    'none',
    'Say how much with --memory, such as --memory 8g.',
  );
};
