import { median } from '../core/statistics.js';
import { denseDecode, densePrefill } from './dense-passes.js';
import { type LocalEngine, type LocalOptions, openLocal } from './local.js';
import { type OpCall, type OpTimer, timeOps } from './op-timing.js';
import { layerTimes, opShares, type PassProfile, type Roof } from './roofline.js';

export interface TimeProfile {
  readonly isa: string;
  readonly threads: number;
  readonly activations: 'f32' | 'bf16';
  readonly roof: Roof;
  readonly passes: readonly PassProfile[];
}

export interface ProfileRequest {
  /** Prompt lengths to prefill. */
  readonly prefill: readonly number[];
  /** Tokens in the cache before decode steps, and rows that decode together. */
  readonly decode: readonly { readonly tokens: number; readonly rows: number }[];
}

/** Passes of each kind: one to warm up, then half of them watched and half not. */
const PREFILLS = 3;
const STEPS = 12;

/** Read from memory, not from a cache: larger than the last level of current machines. */
const BANDWIDTH_MEGABYTES = 256;

/**
 * Where the time of dense passes goes, by op and by layer, against the roof of this machine. Wall time and the share outside native ops
 * come from passes that are not watched. Runs in this thread. Throws what opening a model throws.
 */
export const profileTime = async (
  path: string,
  options: LocalOptions,
  request: ProfileRequest,
  onPass: (pass: PassProfile) => void | Promise<void>,
): Promise<TimeProfile> => {
  let timer: OpTimer | undefined;
  let engine: LocalEngine | undefined;
  engine = openLocal(path, {
    ...options,
    wrapAddon(addon) {
      timer = timeOps(addon, () => engine?.context.facts.vocabSize ?? 0);
      return timer.addon;
    },
  });
  try {
    const { machine, context } = engine;
    const { addon } = context.device;
    const kind = machine.activations === 'bf16' ? 'bf16' : 'f32';
    const roof: Roof = {
      gigaflops: addon.benchPeak(kind, machine.threads),
      gigabytesPerSecond: addon.benchReadBandwidth(BANDWIDTH_MEGABYTES, machine.threads),
    };
    const passes: PassProfile[] = [];
    const profile = (facts: Pick<PassProfile, 'phase' | 'tokens' | 'rows'>, found: Measured): PassProfile => ({
      ...facts,
      wallMs: median(found.wallMs),
      outsideShare: median(found.outsideShare),
      ops: opShares(found.watched, roof),
      ...layerTimes(found.watched, context.facts.numLayers),
    });
    for (const tokens of request.prefill) {
      passes.push(profile({ phase: 'prefill', tokens, rows: 1 }, measurePrefill(engine, timer!, tokens)));
      await onPass(passes.at(-1)!);
    }
    for (const { tokens, rows } of request.decode) {
      const found = await measureDecode(engine, timer!, options, tokens, rows);
      passes.push(profile({ phase: 'decode', tokens, rows }, found));
      await onPass(passes.at(-1)!);
    }
    return { ...machine, roof, passes };
  } finally {
    engine.close();
  }
};

interface Measured {
  readonly wallMs: number[];
  readonly outsideShare: number[];
  readonly watched: OpCall[][];
}

/** Ids of ordinary tokens; which ones hardly matters to the time. */
const idsOf = (engine: LocalEngine, tokens: number): Int32Array =>
  Int32Array.from({ length: tokens }, (_, i) => (i * 7919) % engine.context.facts.vocabSize);

const measurePrefill = (engine: LocalEngine, timer: OpTimer, tokens: number): Measured => {
  const { context } = engine;
  const ids = idsOf(engine, tokens);
  const found: Measured = { wallMs: [], outsideShare: [], watched: [] };
  densePrefill(context, ids);
  for (let pass = 0; pass < PREFILLS; pass++) {
    const before = context.device.addon.nativeNanoseconds();
    const wallMs = densePrefill(context, ids);
    found.wallMs.push(wallMs);
    found.outsideShare.push(1 - (context.device.addon.nativeNanoseconds() - before) / 1e6 / wallMs);
    timer.begin();
    densePrefill(context, ids);
    found.watched.push(timer.end());
  }
  return found;
};

const measureDecode = async (
  engine: LocalEngine,
  timer: OpTimer,
  { resolveMethod }: LocalOptions,
  tokens: number,
  rows: number,
): Promise<Measured> => {
  const found: Measured = { wallMs: [], outsideShare: [], watched: [] };
  const { addon } = engine.context.device;
  let step = -1;
  let at = 0;
  let native = 0;
  await denseDecode(engine.context, resolveMethod, {
    ids: idsOf(engine, tokens),
    rows,
    steps: 2 * STEPS + 1,
    onToken() {
      const now = performance.now();
      const nativeNow = addon.nativeNanoseconds();
      // Step 0 warms up, then odd steps are watched and even ones are timed.
      if (step >= 1 && step % 2 === 1) found.watched.push(timer.end());
      else if (step >= 1) {
        found.wallMs.push(now - at);
        found.outsideShare.push(1 - (nativeNow - native) / 1e6 / (now - at));
      }
      step++;
      if (step >= 1 && step % 2 === 1) timer.begin();
      native = addon.nativeNanoseconds();
      at = performance.now();
    },
  });
  timer.end();
  return found;
};
