/** Tokens that leave out layers, attention or feed-forward parts of a prefill: the others run packed together. */
import type { LayerShape } from '../../methods/contract.js';
import type { Device, DeviceTensor } from './device.js';

export type SkippablePart = 'attention' | 'ffn';

/** Which tokens of a pass run; ascending. */
export interface TokenChoice {
  readonly run: Int32Array;
  /** Tokens that attention leaves out are cached all the same. */
  readonly cachesAll: boolean;
  /** Tokens left out are gone for all later parts and layers. */
  readonly forgets: boolean;
}

export interface TokenSkip {
  /** Tokens of the pass. */
  readonly tokens: number;
  /** The token that runs whatever is chosen; absent in chunks that do not end the prompt. */
  readonly always?: number;
  /** Asked before each layer and part, with the hidden states f32 [tokens, hiddenSize] so far; undefined: all. */
  choose(layer: number, at: 'layer' | SkippablePart, hidden: DeviceTensor): TokenChoice | undefined;
}

/** Runs one part of a layer for some tokens and returns their hidden states, packed. */
type RunSome = (part: SkippablePart, layer: number, some: Int32Array) => DeviceTensor;

/** All layers of a pass. `hidden` holds every token's state and takes those of the tokens that ran. */
export const runSkipping = (
  device: Device,
  layers: readonly LayerShape[],
  skip: TokenSkip,
  hidden: DeviceTensor,
  runSome: RunSome,
): void => {
  let alive: Int32Array = Int32Array.from({ length: skip.tokens }, (_, token) => token);
  const narrowed = (from: Int32Array, choice: TokenChoice | undefined): Int32Array => {
    if (choice === undefined) return from;
    const chosen = new Set(choice.run);
    return from.filter((token) => token === skip.always || chosen.has(token));
  };
  layers.forEach(({ mixer }, layer) => {
    const whole = skip.choose(layer, 'layer', hidden);
    let own = narrowed(alive, whole);
    if (whole?.forgets === true) alive = own;
    if (mixer === 'softmax') {
      const choice = skip.choose(layer, 'attention', hidden);
      const attending = narrowed(own, choice);
      if (choice?.forgets === true) {
        alive = alive.filter((token) => attending.includes(token));
        own = attending;
      }
      const cached = whole?.cachesAll === true || choice?.cachesAll === true ? alive : attending;
      runPart(device, hidden, cached, attending, (some) => runSome('attention', layer, some));
    }
    const choice = skip.choose(layer, 'ffn', hidden);
    const feeding = narrowed(own, choice);
    if (choice?.forgets === true) alive = alive.filter((token) => feeding.includes(token));
    runPart(device, hidden, feeding, feeding, (some) => runSome('ffn', layer, some));
  });
};

/** Runs `some` tokens; only those of `kept` (among them) take what came out. */
const runPart = (
  device: Device,
  hidden: DeviceTensor,
  some: Int32Array,
  kept: Int32Array,
  run: (some: Int32Array) => DeviceTensor,
): void => {
  if (some.length === 0) return;
  const { addon } = device;
  device.scope(() => {
    // A part of all tokens runs in place, so that what must stay is put aside.
    const aside = some.length === hidden.shape[0] && kept.length < some.length ? copyOf(device, hidden) : undefined;
    const out = run(some);
    if (out === hidden) {
      if (aside === undefined) return;
      const left = new Set(kept);
      for (const token of some) if (!left.has(token)) addon.copyRows(aside.id, token, hidden.id, token, 1);
      return;
    }
    const wanted = new Set(kept);
    some.forEach((token, i) => {
      if (wanted.has(token)) addon.copyRows(out.id, i, hidden.id, token, 1);
    });
  });
};

const copyOf = (device: Device, t: DeviceTensor): DeviceTensor => {
  const out = device.tensor(t.dtype, t.shape);
  device.addon.copyRows(t.id, 0, out.id, 0, t.shape[0]!);
  return out;
};
