/** Greedy or sampled text from a decoder of this backend, with the byte counts that the cpu backend gives. */
import type { LayerShape } from '../../methods/contract.js';
import type { Sampling } from '../contract.js';
import { argmaxHost } from '../core/choose.js';
import { drawToken } from '../core/sampling.js';
import type { Decoder } from './decoder.js';

export interface TextRequest {
  /** The whole prompt. */
  readonly ids: Int32Array;
  readonly maxNewTokens: number;
  readonly sampling?: Sampling;
  readonly sampleSeed: number;
  isStop(token: number): boolean;
  holdsStop(tokens: readonly number[]): boolean;
}

export interface TextRun {
  readonly tokenIds: readonly number[];
  readonly finishReason: 'stop' | 'length';
  /** Tokens whose keys and values were held after the prompt, at the end, and read per step on average. */
  readonly promptTokens: number;
  readonly peakTokens: number;
  readonly readTokensPerStep: number;
}

export const runText = async (decoder: Decoder, request: TextRequest): Promise<TextRun> => {
  const past = decoder.newPast();
  const choose = (logits: Float32Array, step: number): number =>
    request.sampling === undefined ? argmaxHost(logits) : drawToken(logits, request.sampling, request.sampleSeed, step);
  const tokenIds: number[] = [];
  const promptTokens = request.ids.length;
  let next = choose(await decoder.feed(past, request.ids, 'last'), 0);
  let finishReason: 'stop' | 'length' | undefined;
  let readTokens = 0;
  let steps = 0;
  for (;;) {
    if (request.isStop(next)) finishReason = 'stop';
    else {
      tokenIds.push(next);
      if (request.holdsStop(tokenIds)) finishReason = 'stop';
      else if (tokenIds.length >= request.maxNewTokens) finishReason = 'length';
    }
    if (finishReason !== undefined) break;
    next = choose(await decoder.feed(past, Int32Array.of(next), 'last'), ++steps);
    readTokens += past.tokens;
  }
  return {
    tokenIds,
    finishReason,
    promptTokens,
    peakTokens: past.tokens,
    readTokensPerStep: steps === 0 ? promptTokens : readTokens / steps,
  };
};

/** Bytes of keys and values of one token in float32. */
export const bytesPerToken = (shapes: readonly LayerShape[]): number =>
  shapes.reduce((sum, { numKvHeads, headDim, headDimV }) => sum + numKvHeads * (headDim + headDimV) * 4, 0);
