/** Other models made of a checkpoint's weights, for methods that convert them: their own packed weights, cache layout and rotary tables. */
import { WinnowError } from '../../core/errors.js';
import type { Checkpoint as CheckpointView, LayerShape, ModelView, Tensor } from '../../methods/contract.js';
import { type Checkpoint, tensorOf } from '../checkpoint.js';
import { floatTensor } from '../float-weights.js';
import { type Device, device as deviceOf } from './device.js';
import { freeWeights, packWeights, type ReplacedTensors } from './load.js';
import type { RotaryEmbedding } from './rotary.js';
import type { ModelContext } from './sample.js';
import type { ResolvedSetting } from './settings.js';
import { checkSharedLayer } from './shared-cache.js';
import { type Architecture, createTransformer, type ModelWeights, type Transformer } from './transformer.js';

/** Conversions of an open model, one for each method and parameters; kept until the model is closed. */
export interface Conversions {
  /** The model that a setting runs on: `context` itself for methods that convert nothing. */
  open(context: ModelContext, setting: ResolvedSetting): ModelContext;
  close(): void;
}

export interface ConversionSource {
  readonly device: Device;
  readonly architecture: Architecture;
  readonly weights: ModelWeights;
  /** The file is read again; whoever asks closes it. */
  openCheckpoint(): Checkpoint;
}

interface Converted {
  readonly context: Pick<ModelContext, 'transformer' | 'rotary' | 'shapes' | 'facts' | 'decodeView'>;
  free(): void;
}

export const createConversions = (source: ConversionSource): Conversions => {
  const made = new Map<string, Converted>();
  return {
    open(context, setting) {
      const hook = setting.hooks().weights;
      if (hook === undefined) return context;
      const { identity, method } = setting.bound;
      let converted = made.get(identity);
      if (converted === undefined) {
        converted = convert(source, context, method.id, hook);
        made.set(identity, converted);
      }
      return { ...context, ...converted.context };
    },
    close() {
      for (const { free } of made.values()) free();
      made.clear();
    },
  };
};

const convert = (
  source: ConversionSource,
  context: ModelContext,
  id: string,
  hook: (checkpoint: CheckpointView) => ModelView,
): Converted => {
  const { device } = source;
  const checkpoint = source.openCheckpoint();
  const scope = device.addon.openScope();
  const built: { transformer: Transformer; weights: ModelWeights }[] = [];
  const free = (): void => {
    for (const { transformer, weights } of built) {
      transformer.dispose();
      freeWeights(device, weights, source.weights);
    }
  };
  try {
    const view = hook(viewOf(device, checkpoint));
    const build = (phase: 'prefill' | 'decode', shapes: readonly LayerShape[]): Transformer => {
      checkLayers(`${id}.weights.${phase}`, shapes, context.shapes.length);
      const replaced = replacedTensors(device, checkpoint, view, phase, shapes, id);
      const weights = packWeights(device, checkpoint, replaced, source.weights);
      const transformer = createTransformer(device, architectureOf(source.architecture, view, shapes), weights);
      built.push({ transformer, weights });
      return transformer;
    };
    const transformer = build('prefill', view.prefill);
    const facts = { ...context.facts, layers: view.prefill };
    const prefill = { transformer, rotary: transformer.rotaryTable, shapes: view.prefill, facts };
    if (view.decode === undefined) return { context: prefill, free };
    checkSameCache(id, view.prefill, view.decode);
    const decodeView = { transformer: build('decode', view.decode), shapes: view.decode };
    return { context: { ...prefill, decodeView }, free };
  } catch (thrown) {
    free();
    throw thrown;
  } finally {
    device.addon.closeScope(scope);
    checkpoint.close();
  }
};

const viewOf = (device: Device, checkpoint: Checkpoint): CheckpointView => {
  const make = (shape: readonly number[], values: Float32Array): Tensor => {
    const t = device.tensor('f32', shape);
    device.addon.upload(t.id, values);
    return t;
  };
  const values = (name: string): Float32Array => floatTensor(device.addon, checkpoint, name).slice();
  const shape = (name: string): readonly number[] => tensorOf(checkpoint, name).shape;
  return {
    tensors: [...checkpoint.tensors.keys()],
    shape,
    values,
    tensor: (name) => make(shape(name), values(name)),
    make,
  };
};

/** Tensors that the view gives, with their shapes checked and masked heads silenced. */
const replacedTensors = (
  device: Device,
  checkpoint: Checkpoint,
  view: ModelView,
  phase: 'prefill' | 'decode',
  shapes: readonly LayerShape[],
  id: string,
): ReplacedTensors => {
  const replaced = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  const mask = view.headMask === undefined ? undefined : hostValues(device, view.headMask);
  for (const [name, { shape: stored }] of checkpoint.tensors) {
    const [, layer, part] = /^layers\.(\d+)\.(.+)$/.exec(name) ?? [];
    const expected = layer === undefined ? stored : projectionShape(shapes[Number(layer)]!, part!, stored);
    const given = view.tensor(name, phase);
    if (expected === undefined) continue;
    if (expected[0] === 0 && given === undefined) {
      // A layer that reads another's cache projects queries only.
      replaced.set(name, { shape: expected, values: new Float32Array(0) });
      continue;
    }
    const found = given === undefined ? stored : given.shape;
    if (found.join() !== expected.join() || (given !== undefined && given.dtype !== 'f32'))
      throw new WinnowError(
        'ERR_CONTRACT',
        `${id}.weights, ${name}`,
        `f32 [${expected.join(', ')}]`,
        given === undefined ? `the checkpoint's [${stored.join(', ')}]` : `${given.dtype} [${given.shape.join(', ')}]`,
      );
    const own = given === undefined ? undefined : hostValues(device, given).slice();
    if (mask !== undefined && part === 'attention.output') {
      const masked = own ?? floatTensor(device.addon, checkpoint, name).slice();
      const width = mask.length / shapes.length;
      silenceHeads(masked, shapes[Number(layer)]!, mask.subarray(Number(layer) * width, (Number(layer) + 1) * width));
      replaced.set(name, { shape: expected, values: masked });
    } else if (own !== undefined) replaced.set(name, { shape: expected, values: own });
  }
  // Gate and up are woven, which takes one type for both.
  for (const name of [...replaced.keys()]) {
    const twin = name.endsWith('.ffn.gate') ? name.replace(/gate$/, 'up') : name.replace(/\.ffn\.up$/, '.ffn.gate');
    if (twin === name || replaced.has(twin)) continue;
    replaced.set(twin, {
      shape: tensorOf(checkpoint, twin).shape,
      values: floatTensor(device.addon, checkpoint, twin).slice(),
    });
  }
  return replaced;
};

const hostValues = (device: Device, t: Tensor): Float32Array => device.addon.download(deviceOf(t).id) as Float32Array;

/** What a layer's shape asks of a tensor; undefined: the layer has no such part. */
const projectionShape = (shape: LayerShape, part: string, stored: readonly number[]): readonly number[] | undefined => {
  const { mixer, numQueryHeads, numKvHeads, headDim, headDimV } = shape;
  if (part.startsWith('attention.') && mixer !== 'softmax') return undefined;
  const rows: Readonly<Record<string, number>> = {
    'attention.q': numQueryHeads * headDim,
    'attention.k': numKvHeads * headDim,
    'attention.v': numKvHeads * headDimV,
  };
  const projected = rows[part.replace(/\.bias$/, '')];
  if (projected !== undefined) return [projected, ...stored.slice(1)];
  if (part === 'attention.output') return [stored[0]!, numQueryHeads * headDimV];
  if (part === 'attention.q.norm' || part === 'attention.k.norm') return [headDim];
  return stored;
};

/** Multiplies the columns of each head: what is 0 never reaches the hidden state. */
const silenceHeads = (output: Float32Array, { numQueryHeads, headDimV }: LayerShape, mask: Float32Array): void => {
  const width = numQueryHeads * headDimV;
  for (let i = 0; i < output.length; i++) output[i] = output[i]! * mask[Math.floor((i % width) / headDimV)]!;
};

const architectureOf = (base: Architecture, view: ModelView, shapes: readonly LayerShape[]): Architecture => {
  const rotary: RotaryEmbedding[] = [...base.rotary];
  const blocks = base.blocks.map((block, layer) => {
    const pairs = view.rotaryPairs?.(layer);
    if (pairs === undefined) return block;
    rotary.push(gathered(base.rotary[block.rotary]!, pairs));
    return { ...block, rotary: rotary.length - 1 };
  });
  return { ...base, layers: shapes, blocks, rotary };
};

/** The same angles for other pairs. */
const gathered = (base: RotaryEmbedding, pairs: Int32Array): RotaryEmbedding => ({
  setOf: base.setOf,
  table(set, positions) {
    const from = base.table(set, positions);
    const half = from.length / positions / 2;
    const out = new Float32Array(positions * pairs.length * 2);
    for (let position = 0; position < positions; position++) {
      pairs.forEach((pair, i) => {
        out[position * pairs.length * 2 + i] = from[position * half * 2 + pair]!;
        out[position * pairs.length * 2 + pairs.length + i] = from[position * half * 2 + half + pair]!;
      });
    }
    return out;
  },
});

const checkLayers = (where: string, shapes: readonly LayerShape[], numLayers: number): void => {
  if (shapes.length !== numLayers) throw new WinnowError('ERR_CONTRACT', where, `${numLayers} layers`, shapes.length);
  shapes.forEach((shape, layer) => {
    const { mixer, numQueryHeads, numKvHeads, kvSource, evictable } = shape;
    const at = `${where}[${layer}]`;
    if (mixer === 'recurrent') throw new WinnowError('ERR_UNSUPPORTED', at, 'softmax layers or none', mixer);
    if (kvSource !== layer) {
      checkSharedLayer(at, shapes, layer);
      return;
    }
    if (mixer === 'none' && (numKvHeads !== 0 || evictable))
      throw new WinnowError('ERR_CONTRACT', at, 'no KV heads and nothing to evict where nothing attends', numKvHeads);
    if (mixer === 'softmax' && (numKvHeads < 1 || numQueryHeads % numKvHeads !== 0))
      throw new WinnowError('ERR_CONTRACT', at, `a multiple of ${numKvHeads} query heads`, numQueryHeads);
  });
};

/** Prefill and decode read and write the same slots. */
const checkSameCache = (id: string, prefill: readonly LayerShape[], decode: readonly LayerShape[]): void => {
  const geometry = (shapes: readonly LayerShape[]): string =>
    shapes
      .map(({ numKvHeads, headDim, headDimV, kvSource }) => [numKvHeads, headDim, headDimV, kvSource].join('x'))
      .join();
  if (geometry(prefill) !== geometry(decode))
    throw new WinnowError(
      'ERR_CONTRACT',
      `${id}.weights.decode`,
      `the cache of the prefill (KV heads x key x value widths x layer ${geometry(prefill)})`,
      geometry(decode),
    );
};
