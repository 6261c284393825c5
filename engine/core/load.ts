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

/** Tensors that stand in the place of a checkpoint's, float32 on the host. */
export type ReplacedTensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;

/** Packs every tensor into the native layout. Each tensor's bytes are read once and let go, so file and packed weights never coexist. */
export const loadWeights = (device: Device, checkpoint: Checkpoint): ModelWeights =>
  packWeights(device, checkpoint, new Map());

/** The checkpoint's weights with some tensors replaced; matrices that hold none of them are those of `base`, which stays their owner. */
export const packWeights = (
  device: Device,
  checkpoint: Checkpoint,
  replaced: ReplacedTensors,
  base?: ModelWeights,
): ModelWeights => {
  const { addon } = device;
  const { config } = checkpoint;
  const isNew = (names: readonly string[]): boolean => names.some((name) => replaced.has(name));
  const drawn = (names: readonly string[]): WeightId | undefined => {
    if (checkpoint.drawnWith === undefined || addon.randomWeight === undefined || isNew(names)) return undefined;
    const shapes = names.map((name) => tensorOf(checkpoint, name).shape);
    const { seed, deviation } = checkpoint.drawnWith(names[0]!);
    const rows = shapes.reduce((sum, [own = 0]) => sum + own, 0);
    return addon.randomWeight(rows, shapes[0]![1]!, seed, deviation);
  };
  const matrix = (names: string[], interleave = 0, known?: WeightId): WeightId =>
    known !== undefined && !isNew(names)
      ? known
      : (drawn(names) ??
        addon.packWeight(
          names
            .filter((name) => replaced.get(name)?.shape[0] !== 0)
            .map((name) => replacedSource(replaced, name) ?? sourceOf(tensorOf(checkpoint, name))),
          interleave,
        ));
  const gain = (name: string, exists = true, known?: TensorId): TensorId => {
    if (!exists) return 0;
    if (known !== undefined && !isNew([name])) return known;
    const values = replaced.get(name)?.values;
    return values === undefined
      ? packGain(device, tensorOf(checkpoint, name), config.normGainOffset)
      : vectorOf(
          device,
          values.map((value) => value + config.normGainOffset),
        );
  };

  // A file may store a gate and its up in different types; a weave needs one.
  const sameTypes = Array.from({ length: config.numLayers }, (_, l) =>
    ['gate', 'up'].map((part) => tensorOf(checkpoint, `layers.${l}.ffn.${part}`).type),
  ).every(([gate, up]) => gate === up);
  const woven = sameTypes && config.ffnSize % GATE_INTERLEAVE === 0;
  const embedding = matrix(['embedding'], 0, base?.embedding);
  const layers = Array.from({ length: config.numLayers }, (_, l): LayerWeights => {
    const at = `layers.${l}`;
    const qkv = ['q', 'k', 'v'].map((part) => `${at}.attention.${part}`);
    const known = base?.layers[l];
    const biases = qkv.map((name) => `${name}.bias`);
    return {
      attentionNorm: gain(`${at}.attention.norm`, true, known?.attentionNorm),
      qkv: matrix(qkv, 0, known?.qkv),
      qkvBias: !config.qkvBias
        ? 0
        : known !== undefined && !isNew(biases)
          ? known.qkvBias
          : packBias(device, checkpoint, biases, replaced),
      qNorm: gain(`${at}.attention.q.norm`, config.qkNorm, known?.qNorm),
      kNorm: gain(`${at}.attention.k.norm`, config.qkNorm, known?.kNorm),
      output: matrix([`${at}.attention.output`], 0, known?.output),
      postAttentionNorm: gain(`${at}.attention.postNorm`, config.postNorms, known?.postAttentionNorm),
      ffnNorm: gain(`${at}.ffn.norm`, true, known?.ffnNorm),
      gateUp: matrix([`${at}.ffn.gate`, `${at}.ffn.up`], woven ? GATE_INTERLEAVE : 0, known?.gateUp),
      gateUpWoven: woven,
      down: matrix([`${at}.ffn.down`], 0, known?.down),
      postFfnNorm: gain(`${at}.ffn.postNorm`, config.postNorms, known?.postFfnNorm),
    };
  });
  return {
    embedding,
    layers,
    finalNorm: gain('output.norm', true, base?.finalNorm),
    head: config.tiedEmbeddings ? embedding : matrix(['output'], 0, base?.head),
  };
};

/** Frees what `loadWeights` made, but for what belongs to `base`. */
export const freeWeights = ({ addon }: Device, weights: ModelWeights, base?: ModelWeights): void => {
  const kept = { weights: new Set<WeightId>(), vectors: new Set<TensorId>([0]) };
  const visit = (of: ModelWeights, onWeight: (w: WeightId) => void, onVector: (t: TensorId) => void): void => {
    for (const layer of of.layers) {
      for (const w of [layer.qkv, layer.output, layer.gateUp, layer.down]) onWeight(w);
      onVector(layer.attentionNorm);
      onVector(layer.qkvBias);
      onVector(layer.qNorm);
      onVector(layer.kNorm);
      onVector(layer.postAttentionNorm);
      onVector(layer.ffnNorm);
      onVector(layer.postFfnNorm);
    }
    onVector(of.finalNorm);
    onWeight(of.embedding);
    if (of.head !== of.embedding) onWeight(of.head);
  };
  if (base !== undefined)
    visit(
      base,
      (w) => kept.weights.add(w),
      (t) => kept.vectors.add(t),
    );
  visit(
    weights,
    (w) => !kept.weights.has(w) && addon.freeWeight(w),
    (t) => !kept.vectors.has(t) && addon.free(t),
  );
};

const replacedSource = (replaced: ReplacedTensors, name: string): WeightSource | undefined => {
  const tensor = replaced.get(name);
  return tensor === undefined
    ? undefined
    : {
        bytes: new Uint8Array(tensor.values.buffer, tensor.values.byteOffset, tensor.values.byteLength),
        byteOffset: 0,
        type: 'F32',
        rows: tensor.shape[0]!,
        cols: tensor.shape[1]!,
        interleavedHeads: 0,
      };
};

const vectorOf = (device: Device, values: Float32Array): TensorId => {
  const t = device.lasting('f32', [values.length]);
  device.addon.upload(t.id, values);
  return t.id;
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
const packBias = (
  device: Device,
  checkpoint: Checkpoint,
  names: readonly string[],
  replaced: ReplacedTensors,
): TensorId => {
  const { addon } = device;
  const parts = names.map((name) => {
    const own = replaced.get(name)?.values;
    if (own !== undefined) return own;
    const id = packVector(device, tensorOf(checkpoint, name));
    const values = addon.download(id) as Float32Array;
    addon.free(id);
    return values;
  });
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return vectorOf(device, joined);
};
