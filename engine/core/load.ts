import type { LayerShape, ModelFacts } from '../../methods/contract.js';
import type { TensorId, WeightId, WeightSource } from '../../native/addon-types.js';
import { type Checkpoint, type CheckpointTensor, tensorOf } from '../checkpoint.js';
import { type ModelConfig, windowOfLayer } from '../config.js';
import { angleSet, type Rotary, rotaryTable } from '../config-rope.js';
import type { Device } from './device.js';
import type { RotaryEmbedding } from './rotary.js';
import type { Architecture, LayerWeights, ModelWeights } from './transformer.js';

/** Shape of every layer, for adapters and the layer loop. */
export const layerShapes = ({ config }: Checkpoint): LayerShape[] =>
  Array.from({ length: config.numLayers }, (_, layer) => {
    const slidingWindow = windowOfLayer(config, layer);
    return {
      mixer: 'softmax' as const,
      numQueryHeads: config.numQueryHeads,
      numKvHeads: config.numKvHeads,
      headDim: config.headDim,
      headDimV: config.headDim,
      ropeDims: config.ropeDims,
      softmaxScale: config.softmaxScale,
      ...(slidingWindow === undefined ? {} : { slidingWindow }),
      ...(config.attentionSoftCap === undefined ? {} : { softCap: config.attentionSoftCap }),
      kvSource: layer,
      fixedStateBytes: 0,
      evictable: slidingWindow === undefined,
    };
  });

export const modelFacts = (checkpoint: Checkpoint, id: string, sha256: string, elementBytes: number): ModelFacts => ({
  id,
  sha256,
  family: checkpoint.config.architecture,
  numLayers: checkpoint.config.numLayers,
  hiddenSize: checkpoint.config.hiddenSize,
  vocabSize: checkpoint.config.vocabSize,
  maxPositions: checkpoint.config.maxPositions,
  layers: layerShapes(checkpoint),
  elementBytes,
});

export const architectureOf = (checkpoint: Checkpoint): Architecture => {
  const { config } = checkpoint;
  const layers = layerShapes(checkpoint);
  const slides = config.slidingRopeTheta !== undefined;
  return {
    layers,
    blocks: layers.map(({ slidingWindow }) => ({
      ffnSize: config.ffnSize,
      rotary: slides && slidingWindow !== undefined ? 1 : 0,
    })),
    rotary: rotariesOf(config).map(embeddingOf),
    hiddenSize: config.hiddenSize,
    vocabSize: config.vocabSize,
    normEps: config.normEpsilon,
    embeddingScale: config.embeddingScale,
    activation: config.activation === 'silu' ? 'silu' : 'gelu',
    finalSoftCap: config.finalSoftCap ?? 0,
  };
};

/** The model's rotary embeddings: that of all layers, then that of sliding layers if they have their own. */
export const rotariesOf = (config: ModelConfig): Rotary[] => [
  config,
  ...(config.slidingRopeTheta === undefined
    ? []
    : [
        {
          ropeDims: config.ropeDims,
          ropeTheta: config.slidingRopeTheta,
          ropeScaling: { kind: 'none' },
        } satisfies Rotary,
      ]),
];

const embeddingOf = (rotary: Rotary): RotaryEmbedding => ({
  setOf: (length, isOneToken) => angleSet(rotary, length, isOneToken),
  table: (set, positions) => rotaryTable(rotary, positions, set),
});

/** Rows of gate and up in one weave, as `linearGated` wants them. */
const GATE_INTERLEAVE = 32;

/** Packs every tensor into the native layout. Each tensor's bytes are read once and let go, so file and packed weights never coexist. */
export const loadWeights = (device: Device, checkpoint: Checkpoint): ModelWeights => {
  const { addon } = device;
  const { config } = checkpoint;
  const matrix = (names: string[], interleave = 0): WeightId =>
    addon.packWeight(
      names.map((name) => sourceOf(tensorOf(checkpoint, name))),
      interleave,
    );
  const gain = (name: string, exists = true): TensorId =>
    exists ? packGain(device, tensorOf(checkpoint, name), config.normGainOffset) : 0;

  // A file may store a gate and its up in different types; a weave needs one.
  const sameTypes = Array.from({ length: config.numLayers }, (_, l) =>
    ['gate', 'up'].map((part) => tensorOf(checkpoint, `layers.${l}.ffn.${part}`).type),
  ).every(([gate, up]) => gate === up);
  const woven = sameTypes && config.ffnSize % GATE_INTERLEAVE === 0;
  const embedding = matrix(['embedding']);
  const layers = Array.from({ length: config.numLayers }, (_, l): LayerWeights => {
    const at = `layers.${l}`;
    const qkv = ['q', 'k', 'v'].map((part) => `${at}.attention.${part}`);
    return {
      attentionNorm: gain(`${at}.attention.norm`),
      qkv: matrix(qkv),
      qkvBias: config.qkvBias ? packBias(device, checkpoint, qkv) : 0,
      qNorm: gain(`${at}.attention.q.norm`, config.qkNorm),
      kNorm: gain(`${at}.attention.k.norm`, config.qkNorm),
      output: matrix([`${at}.attention.output`]),
      postAttentionNorm: gain(`${at}.attention.postNorm`, config.postNorms),
      ffnNorm: gain(`${at}.ffn.norm`),
      gateUp: matrix([`${at}.ffn.gate`, `${at}.ffn.up`], woven ? GATE_INTERLEAVE : 0),
      gateUpWoven: woven,
      down: matrix([`${at}.ffn.down`]),
      postFfnNorm: gain(`${at}.ffn.postNorm`, config.postNorms),
    };
  });
  return {
    embedding,
    layers,
    finalNorm: gain('output.norm'),
    head: config.tiedEmbeddings ? embedding : matrix(['output']),
  };
};

/** Frees what `loadWeights` made. */
export const freeWeights = ({ addon }: Device, weights: ModelWeights): void => {
  for (const layer of weights.layers) {
    for (const w of [layer.qkv, layer.output, layer.gateUp, layer.down]) addon.freeWeight(w);
    const vectors = [
      layer.attentionNorm,
      layer.qkvBias,
      layer.qNorm,
      layer.kNorm,
      layer.postAttentionNorm,
      layer.ffnNorm,
      layer.postFfnNorm,
    ];
    for (const t of vectors) if (t !== 0) addon.free(t);
  }
  addon.free(weights.finalNorm);
  addon.freeWeight(weights.embedding);
  if (weights.head !== weights.embedding) addon.freeWeight(weights.head);
};

const sourceOf = (tensor: CheckpointTensor): WeightSource => ({
  bytes: tensor.bytes,
  byteOffset: tensor.byteOffset,
  type: tensor.type,
  rows: tensor.shape[0]!,
  cols: tensor.shape[1]!,
  interleavedHeads: tensor.interleavedHeads,
});

const packVector = ({ addon }: Device, tensor: CheckpointTensor): TensorId =>
  addon.packVector(tensor.bytes, tensor.byteOffset, tensor.type, tensor.shape[0]!);

/** A norm's gain as it is multiplied: the offset of the file's convention is added in f32, as the families' own code does at run time. */
const packGain = (device: Device, tensor: CheckpointTensor, offset: number): TensorId => {
  const { addon } = device;
  const id = packVector(device, tensor);
  if (offset !== 0)
    addon.upload(
      id,
      (addon.download(id) as Float32Array).map((gain) => gain + offset),
    );
  return id;
};

/** Biases of the fused projection, one behind the other. */
const packBias = (device: Device, checkpoint: Checkpoint, names: readonly string[]): TensorId => {
  const { addon } = device;
  const parts = names.map((name) => {
    const id = packVector(device, tensorOf(checkpoint, `${name}.bias`));
    const values = addon.download(id) as Float32Array;
    addon.free(id);
    return values;
  });
  const all = device.lasting('f32', [parts.reduce((sum, part) => sum + part.length, 0)]);
  const joined = new Float32Array(all.shape[0]!);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  addon.upload(all.id, joined);
  return all.id;
};
