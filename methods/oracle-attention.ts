/** Attention from its definition, one scalar at a time: what the tests of the methods compare with. Shares no code with the ops. */
import type { PlantedSample } from './naive-views.js';

/** Weight that the query of token `from` (query head `head`) gives to token `to` in a layer. */
export const attentionWeight = (
  sample: PlantedSample,
  layer: number,
  head: number,
  from: number,
  to: number,
): number => {
  if (to > from) return 0;
  let total = 0;
  const logit = (slot: number): number => scaledProduct(sample, layer, head, from, slot);
  for (let slot = 0; slot <= from; slot++) total += Math.exp(logit(slot));
  return Math.exp(logit(to)) / total;
};

const scaledProduct = (sample: PlantedSample, layer: number, head: number, from: number, to: number): number => {
  const shape = sample.shapes[layer]!;
  const groupSize = shape.numQueryHeads / shape.numKvHeads;
  const key = sample.keys[layer]![Math.floor(head / groupSize)]![to]!;
  const query = sample.queries[layer]![from]!;
  let product = 0;
  for (let c = 0; c < shape.headDim; c++) product += query[head * shape.headDim + c]! * key[c]!;
  return product * shape.softmaxScale;
};

/** Query heads that read a KV head. */
export const queryHeadsOf = (sample: PlantedSample, layer: number, kvHead: number): number[] => {
  const { numQueryHeads, numKvHeads } = sample.shapes[layer]!;
  const size = numQueryHeads / numKvHeads;
  const heads: number[] = [];
  for (let h = 0; h < size; h++) heads.push(kvHead * size + h);
  return heads;
};

/** The `count` best indices by score, lower index first among equals, ascending; those in `forced` come first. */
export const bestIndices = (
  scores: readonly number[],
  count: number,
  forced: ReadonlySet<number> = new Set(),
): number[] => {
  const left = new Set(scores.keys());
  const taken: number[] = [];
  for (const index of forced) if (left.delete(index)) taken.push(index);
  while (taken.length < count && left.size > 0) {
    let best = -1;
    for (const index of left) if (best === -1 || scores[index]! > scores[best]!) best = index;
    left.delete(best);
    taken.push(best);
  }
  return taken.sort((a, b) => a - b);
};

export const meanOf = (values: readonly number[]): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
};

export const indicesFrom = (start: number, end: number): number[] => {
  const indices: number[] = [];
  for (let i = start; i < end; i++) indices.push(i);
  return indices;
};
