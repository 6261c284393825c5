import type { DeviceTensor } from './device.js';
import type { StepOps } from './recorder.js';
import type { TokenSkip } from './token-skip.js';

/** One pass over all layers for `rows` sequences with `queryLen` tokens each. */
export interface Pass {
  /** i32 [rows * queryLen]; what `soft` gives rows for is ignored. */
  readonly ids: Int32Array;
  /** Inputs of layer 0 that stand in the place of tokens' embeddings. */
  readonly soft?: SoftTokens;
  readonly positions: Int32Array;
  readonly caches: Int32Array;
  readonly queryLen: number;
  /** Tokens of a step: few rows, weights read at memory speed. Part of a token's bits, unlike what it shares the pass with. */
  readonly isStep: boolean;
  /** Tokens of the whole text of which this pass feeds a part (rotary scalings may depend on it); absent: each row's ends with its last token here. */
  readonly textLength?: number;
  /** Which logits are wanted: none, the last token of each row, or every token. */
  readonly logits: 'none' | 'last' | 'all';
  /** Reads the caches, which already hold this pass's keys and values. q: act [rows * queryLen, Hq * d], out: [rows * queryLen, Hq * dV]. */
  attend(layer: number, q: DeviceTensor, out: DeviceTensor, source: LayerSource): void;
  /** `attend` makes its calls by `source.ops`, or calls `source.flush` before others. */
  readonly defersAttention?: boolean;
  /** Tokens that leave out a layer or a part of one; only with one row. */
  readonly skip?: TokenSkip;
  /** Rows whose keys are cached before RoPE. */
  readonly keepsUnrotated?: (row: number) => boolean;
}

/** What a layer's attention was made from; valid inside `attend`. */
export interface LayerSource {
  /** f32 [tokens, hiddenSize]: input of the layer. */
  readonly hidden: DeviceTensor;
  /** Queries act [tokens, Hq * d], keys and values f32 [rows, H, queryLen, d] of this pass, normed, rotated or not. Made on each call. */
  vectors(isRotated: boolean): TokenVectors;
  /** Ops behind those of the layer, perhaps not made yet; `flush` makes them. */
  readonly ops: StepOps;
  flush(): void;
}
export interface TokenVectors {
  readonly queries: DeviceTensor;
  readonly keys: DeviceTensor;
  readonly values: DeviceTensor;
}

/** Tokens `at` of a pass (ascending) take rows of f32 [.., hiddenSize], from `firstRow` on. */
export interface SoftTokens {
  readonly at: Int32Array;
  readonly rows: DeviceTensor;
  readonly firstRow: number;
}

/** Those of tokens [start, start + count), counted from there. */
export const softWithin = ({ at, rows, firstRow }: SoftTokens, start: number, count: number): SoftTokens => {
  const before = at.filter((token) => token < start).length;
  const own = at.filter((token) => token >= start && token < start + count);
  return { at: own.map((token) => token - start), rows, firstRow: firstRow + before };
};
