/** Activations of a pass: allocated once for a number of tokens and kept, so that a step allocates nothing. */
import type { LayerShape } from '../../methods/contract.js';
import type { Device, DeviceTensor } from './device.js';
import type { Architecture, ModelWeights } from './transformer.js';

/** What one layer writes; layers of equal widths share it. */
export interface LayerScratch {
  /** f32 [tokens, Hq d + H (d + dV)]. */
  readonly qkv: DeviceTensor;
  /** act [tokens, Hq d]. */
  readonly q: DeviceTensor;
  /** act [tokens, Hq dV]. */
  readonly attended: DeviceTensor;
  /** f32 [tokens, 2 F]; undefined where gate and up are woven. */
  readonly gateUp: DeviceTensor | undefined;
  /** act [tokens, F]. */
  readonly gated: DeviceTensor;
}

export interface Scratch {
  /** i32 [2 * tokens], ids and then positions, and host memory to send them from in one transfer. */
  readonly fed: { readonly tensor: DeviceTensor; readonly values: Int32Array };
  /** i32 [tokens], the halves of it. */
  readonly ids: DeviceTensor;
  readonly positions: DeviceTensor;
  /** f32 [tokens, D]. */
  readonly hidden: DeviceTensor;
  /** act [tokens, D]. */
  readonly normed: DeviceTensor;
  /** f32 [tokens, D], what a layer's part gives before its norm; undefined where none is normed. */
  readonly part: DeviceTensor | undefined;
  readonly layers: readonly LayerScratch[];
}

export interface LogitScratch {
  /** f32 [rows, D]. */
  readonly rows: DeviceTensor;
  /** act [rows, D]. */
  readonly normed: DeviceTensor;
  /** f32 [rows, V]. */
  readonly logits: DeviceTensor;
}

export interface ScratchSets {
  forTokens(tokens: number): Scratch;
  forLogits(rows: number): LogitScratch;
  dispose(): void;
}

/** Sets kept: one for the prefill chunk, the question, the batch and its tail. */
const MAX_SETS = 4;

export const createScratch = (device: Device, arch: Architecture, weights: ModelWeights): ScratchSets => {
  const passes = createSets<Scratch>(device);
  const logits = createSets<LogitScratch>(device);
  const hasPostNorms = weights.layers.some((w) => w.postAttentionNorm !== 0 || w.postFfnNorm !== 0);

  const makePass = (tokens: number, make: Make): Scratch => {
    const shared = new Map<string, DeviceTensor>();
    /** Buffers of one kind and width are one: a layer is done with its own before the next begins. */
    const buffer = (kind: string, dtype: 'f32' | 'bf16', width: number): DeviceTensor => {
      const key = `${kind}:${width}`;
      const known = shared.get(key) ?? make(dtype, [tokens, width]);
      shared.set(key, known);
      return known;
    };
    const layerScratch = (shape: LayerShape, layer: number): LayerScratch => {
      const { ffnSize } = arch.blocks[layer]!;
      const isWoven = weights.layers[layer]!.gateUpWoven;
      return {
        qkv: buffer('qkv', 'f32', qkvWidth(shape)),
        q: buffer('q', device.act, shape.numQueryHeads * shape.headDim),
        attended: buffer('attended', device.act, shape.numQueryHeads * shape.headDimV),
        gateUp: isWoven ? undefined : buffer('gateUp', 'f32', 2 * ffnSize),
        gated: buffer('gated', device.act, ffnSize),
      };
    };
    const fed = make('i32', [2 * tokens]);
    return {
      fed: { tensor: fed, values: new Int32Array(2 * tokens) },
      ids: make.part(fed, 0, tokens),
      positions: make.part(fed, tokens, tokens),
      hidden: make('f32', [tokens, arch.hiddenSize]),
      normed: make(device.act, [tokens, arch.hiddenSize]),
      part: hasPostNorms ? make('f32', [tokens, arch.hiddenSize]) : undefined,
      layers: arch.layers.map(layerScratch),
    };
  };

  return {
    forTokens: (tokens) => passes.get(tokens, makePass),
    forLogits: (rows) =>
      logits.get(rows, (_, make) => ({
        rows: make('f32', [rows, arch.hiddenSize]),
        normed: make(device.act, [rows, arch.hiddenSize]),
        logits: make('f32', [rows, arch.vocabSize]),
      })),
    dispose() {
      passes.dispose();
      logits.dispose();
    },
  };
};

const qkvWidth = ({ numQueryHeads, numKvHeads, headDim, headDimV }: LayerShape): number =>
  numQueryHeads * headDim + numKvHeads * (headDim + headDimV);

interface Make {
  (dtype: 'f32' | 'bf16' | 'i32', shape: readonly number[]): DeviceTensor;
  /** Some rows of a tensor made before. */
  part(t: DeviceTensor, start: number, count: number): DeviceTensor;
}

/** The sets used last, by size. */
const createSets = <S>(device: Device) => {
  const sets = new Map<number, { readonly set: S; readonly tensors: readonly DeviceTensor[] }>();
  const free = (tensors: readonly DeviceTensor[]): void => {
    for (const t of tensors) device.free(t);
  };
  return {
    get(size: number, build: (size: number, make: Make) => S): S {
      let entry = sets.get(size);
      if (entry === undefined) {
        if (sets.size >= MAX_SETS) {
          const [oldest, { tensors }] = sets.entries().next().value!;
          sets.delete(oldest);
          free(tensors);
        }
        const tensors: DeviceTensor[] = [];
        const lasting = (t: DeviceTensor): DeviceTensor => {
          tensors.push(t);
          return t;
        };
        const make: Make = (dtype, shape) => lasting(device.lasting(dtype, shape));
        make.part = (t, start, count) => {
          const part = lasting(device.slice(t, start, count));
          device.addon.keep(part.id);
          return part;
        };
        const set = build(size, make);
        entry = { set, tensors };
      } else sets.delete(size);
      sets.set(size, entry);
      return entry.set;
    },
    dispose() {
      for (const { tensors } of sets.values()) free(tensors);
      sets.clear();
    },
  };
};
