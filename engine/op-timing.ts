import type { Addon, TensorId, WeightId } from '../native/addon-types.js';

/** One native call: where, how long, and what it had to compute and to move at the least. */
export interface OpCall {
  readonly op: string;
  /** Sizes that decide its time, e.g. `1024x576x1536`. */
  readonly shape: string;
  /** Undefined outside the layers: embedding, final norm, head. */
  layer: number | undefined;
  readonly ms: number;
  readonly flops: number;
  /** Weights, cache and tensors read or written once; 0 when no bound is known for the op. */
  readonly bytes: number;
}

export interface OpTimer {
  /** The addon to open a model with. Costs one test per call while nothing is watched. */
  readonly addon: Addon;
  /** Watches from here on. */
  begin(): void;
  /** Stops watching; the calls since `begin`, in order. */
  end(): OpCall[];
}

type Cost = Pick<OpCall, 'shape' | 'flops' | 'bytes'>;

/**
 * Times every call of an addon from outside. Layers are told by `ropeAppend` and attention, which name theirs: a projection and its norm
 * right before `ropeAppend` belong to its layer, all else to the layer named last; a product with as many rows as the head leaves them.
 */
export const timeOps = (addon: Addon, vocabSize: () => number): OpTimer => {
  const weightBytes = new Map<WeightId, number>();
  let calls: OpCall[] | undefined;
  let layer: number | undefined;

  const note = (op: string, args: readonly unknown[], ms: number): void => {
    const cost = costOf(addon, weightBytes, op, args);
    const isHead = op === 'linear' && addon.weightShape(args[1] as WeightId)[0] === vocabSize();
    const named = layerArgument[op];
    if (named !== undefined) layer = args[named] as number;
    if (op === 'embed' || isHead) layer = undefined;
    if (op === 'ropeAppend') claimProjection(calls!, layer);
    if (isHead) claimSinceProduct(calls!);
    calls!.push({ op: isHead ? 'head' : op, layer, ms, ...cost });
  };

  const wrap =
    (name: string, fn: (...args: unknown[]) => unknown) =>
    (...args: unknown[]) => {
      if (name === 'packWeight') {
        const before = addon.memory().weightBytes;
        const weight = fn(...args) as WeightId;
        weightBytes.set(weight, addon.memory().weightBytes - before);
        return weight;
      }
      if (calls === undefined || name === 'nativeNanoseconds') return fn(...args);
      const start = performance.now();
      const result = fn(...args);
      note(name, args, performance.now() - start);
      return result;
    };

  return {
    addon: Object.fromEntries(
      // Calls that are replayed together would be one.
      Object.entries(addon)
        .filter(([name]) => name !== 'replay')
        .map(([name, fn]) => [name, wrap(name, fn as (...args: unknown[]) => unknown)]),
    ) as unknown as Addon,
    begin() {
      calls = [];
      layer = undefined;
    },
    end() {
      const seen = calls ?? [];
      calls = undefined;
      return seen;
    },
  };
};

/** Index of the argument that names the layer. */
const layerArgument: Readonly<Record<string, number>> = { ropeAppend: 5, attendPrefill: 2, attendDecode: 2 };

/** What follows the last layer's last product is the final norm. */
const claimSinceProduct = (calls: readonly OpCall[]): void => {
  for (let at = calls.length - 1; at >= 0 && !calls[at]!.op.startsWith('linear'); at--) calls[at]!.layer = undefined;
};

/** The calls back to the last product and the norm before it were made for the layer that is named only now. */
const claimProjection = (calls: readonly OpCall[], layer: number | undefined): void => {
  let at = calls.length - 1;
  while (at >= 0 && !calls[at]!.op.startsWith('linear')) at--;
  const first = at > 0 && calls[at - 1]!.op.startsWith('rmsNorm') ? at - 1 : at;
  for (let i = Math.max(0, first); i < calls.length; i++) calls[i]!.layer = layer;
};

const costOf = (addon: Addon, weights: ReadonlyMap<WeightId, number>, op: string, args: readonly unknown[]): Cost => {
  const act = (id: unknown): number => product(addon.shape(id as TensorId));
  switch (op) {
    case 'linear':
    case 'linearGated': {
      const [rows, cols] = addon.weightShape(args[1] as WeightId);
      const tokens = addon.shape(args[0] as TensorId)[0]!;
      const out = args[op === 'linear' ? 4 : 3];
      const bytes = (weights.get(args[1] as WeightId) ?? 0) + (act(args[0]) + act(out)) * activationBytes;
      return { shape: `${tokens}x${cols}x${rows}`, flops: 2 * tokens * rows * cols, bytes };
    }
    case 'attendPrefill': {
      const [tokens = 0, width = 0] = addon.shape(args[0] as TensorId);
      const [cache, layer] = [args[1] as number, args[2] as number];
      const slots = slotsOf(addon, cache, layer);
      const pairs = tokens * (slots - tokens) + (tokens * (tokens + 1)) / 2;
      return { shape: `${tokens} on ${slots}`, flops: 4 * pairs * width, bytes: cacheBytes(addon, cache, layer) };
    }
    case 'attendDecode': {
      const [tokens = 0, width = 0] = addon.shape(args[0] as TensorId);
      const [caches, layer] = [args[1] as Int32Array, args[2] as number];
      const slots = slotsOf(addon, caches[0]!, layer);
      const bytes = caches.reduce((sum, cache) => sum + cacheBytes(addon, cache, layer), 0);
      // Not the slots: they grow by one from step to step, and steps are summed up as one op.
      return { shape: `${tokens}x${width}`, flops: 4 * tokens * slots * width, bytes };
    }
    case 'rmsNorm':
    case 'embed':
    case 'argmax':
    case 'gatedActivation': {
      const [from, to] =
        op === 'embed' ? [args[1], args[3]] : op === 'rmsNorm' ? [args[0], args[4]] : [args[0], args.at(-1)];
      return {
        shape: addon.shape(to as TensorId).join('x'),
        flops: 0,
        bytes: act(from) * 4 + act(to) * activationBytes,
      };
    }
    case 'ropeAppend':
      return {
        shape: addon.shape(args[0] as TensorId).join('x'),
        flops: 0,
        bytes: act(args[0]) * (4 + activationBytes),
      };
    default:
      return { shape: '', flops: 0, bytes: 0 };
  }
};

/** Activations are f32 or bf16: the smaller one, since bytes are a lower bound. */
const activationBytes = 2;

const product = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

/** Slots of a layer's first head: dense passes hold the same number in all. */
const slotsOf = (addon: Addon, cache: number, layer: number): number => {
  const heads = addon.cacheReadBytes(cache, layer).length;
  return addon.cacheLens(cache)[layer * heads] ?? 0;
};

const cacheBytes = (addon: Addon, cache: number, layer: number): number =>
  addon.cacheReadBytes(cache, layer).reduce((sum, bytes) => sum + bytes, 0);
