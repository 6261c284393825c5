import type { LayerShape, ModelFacts } from '../../methods/contract.js';
import type { WeightSource } from '../../native/addon-types.js';
import { type Checkpoint, type CheckpointTensor, tensorOf } from '../checkpoint.js';
import { rotaryTable } from '../config-rope.js';
import type { Device } from './device.js';
import type { Architecture, ModelWeights } from './transformer.js';

/** Shape of every layer, for adapters and the layer loop. */
export const layerShapes = (checkpoint: Checkpoint): LayerShape[] => {
  const { config } = checkpoint;
  return Array.from({ length: config.numLayers }, (_, layer) => ({
    mixer: 'softmax' as const,
    numQueryHeads: config.numQueryHeads,
    numKvHeads: config.numKvHeads,
    headDim: config.headDim,
    headDimV: config.headDim,
    ropeDims: config.ropeDims,
    ...(config.slidingWindow === undefined ? {} : { slidingWindow: config.slidingWindow }),
    kvSource: layer,
    fixedStateBytes: 0,
    evictable: config.slidingWindow === undefined,
  }));
};

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
  return {
    layers: layerShapes(checkpoint),
    hiddenSize: config.hiddenSize,
    ffnSize: config.ffnSize,
    vocabSize: config.vocabSize,
    normEps: config.normEpsilon,
    normGainOffset: 0,
    embeddingScale: 1,
    activation: config.activation === 'silu' ? 'silu' : 'gelu',
    rotaryTable: (positions) => rotaryTable(config, positions),
  };
};

/** Rows of gate and up in one weave, as `linearGated` wants them. */
const GATE_INTERLEAVE = 32;

/** Packs every tensor into the native layout. Each tensor's bytes are read once and let go, so file and packed weights never coexist. */
export const loadWeights = (device: Device, checkpoint: Checkpoint): ModelWeights => {
  const { addon } = device;
  const { config } = checkpoint;
  const source = (tensor: CheckpointTensor): WeightSource => ({
    bytes: tensor.bytes,
    byteOffset: tensor.byteOffset,
    type: tensor.type,
    rows: tensor.shape[0]!,
    cols: tensor.shape[1]!,
    interleavedHeads: tensor.interleavedHeads,
  });
  const matrix = (names: string[], interleave = 0): number =>
    addon.packWeight(
      names.map((name) => source(tensorOf(checkpoint, name))),
      interleave,
    );
  const vector = (name: string): number => {
    const tensor = tensorOf(checkpoint, name);
    return addon.packVector(tensor.bytes, tensor.byteOffset, tensor.type, tensor.shape[0]!);
  };

  // A file may store a gate and its up in different types; a weave needs one.
  const sameTypes = Array.from({ length: config.numLayers }, (_, l) =>
    ['gate', 'up'].map((part) => tensorOf(checkpoint, `layers.${l}.ffn.${part}`).type),
  ).every(([gate, up]) => gate === up);
  const woven = sameTypes && config.ffnSize % GATE_INTERLEAVE === 0;
  const embedding = matrix(['embedding']);
  const layers = Array.from({ length: config.numLayers }, (_, l) => {
    const at = `layers.${l}`;
    return {
      attentionNorm: vector(`${at}.attention.norm`),
      qkv: matrix([`${at}.attention.q`, `${at}.attention.k`, `${at}.attention.v`]),
      qkvBias: 0,
      qNorm: 0,
      kNorm: 0,
      output: matrix([`${at}.attention.output`]),
      ffnNorm: vector(`${at}.ffn.norm`),
      gateUp: matrix([`${at}.ffn.gate`, `${at}.ffn.up`], woven ? GATE_INTERLEAVE : 0),
      down: matrix([`${at}.ffn.down`]),
    };
  });
  return {
    gateUpWoven: woven,
    embedding,
    layers,
    finalNorm: vector('output.norm'),
    head: config.tiedEmbeddings ? embedding : matrix(['output']),
  };
};
