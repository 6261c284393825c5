import { median } from '../core/statistics.js';
import type { OpCall } from './op-timing.js';

/** What this machine reaches at best: dot products of the activations' kind, and reads from memory. */
export interface Roof {
  readonly gigaflops: number;
  readonly gigabytesPerSecond: number;
}

/** All calls of one op with one shape in a pass. */
export interface OpShare {
  readonly op: string;
  readonly shape: string;
  readonly calls: number;
  readonly ms: number;
  /** Of the time inside native ops. */
  readonly share: number;
  readonly gigaflops: number;
  readonly gigabytesPerSecond: number;
  /** Least time that the roof allows ÷ time taken; above 1 when its bytes came from a cache. Undefined without a known bound. */
  readonly ofRoof?: number;
  readonly bound?: 'compute' | 'memory';
}

export interface PassProfile {
  readonly phase: 'prefill' | 'decode';
  readonly tokens: number;
  readonly rows: number;
  /** Of one prefill or one decode step, nothing watched: wall time, and the share of it outside native ops. */
  readonly wallMs: number;
  readonly outsideShare: number;
  /** Longest first. */
  readonly ops: readonly OpShare[];
  /** Milliseconds by layer; what belongs to none (embedding, head) apart. */
  readonly layerMs: readonly number[];
  readonly aroundMs: number;
}

/** Sums calls by op and shape: times are medians over passes of each sum, so that one disturbed pass does not count. */
export const opShares = (passes: readonly (readonly OpCall[])[], roof: Roof): OpShare[] => {
  const keys = new Map<string, OpCall[][]>();
  passes.forEach((calls, pass) => {
    for (const call of calls) {
      const key = `${call.op} ${call.shape}`;
      const byPass = keys.get(key) ?? passes.map(() => []);
      byPass[pass]!.push(call);
      keys.set(key, byPass);
    }
  });
  const sums = [...keys.values()].map((byPass) => {
    const seen = byPass.find((calls) => calls.length > 0)!;
    const ms = median(byPass.map((calls) => calls.reduce((sum, call) => sum + call.ms, 0)));
    const perPass = (read: (call: OpCall) => number): number =>
      byPass.flat().reduce((sum, call) => sum + read(call), 0) / passes.length;
    const flops = perPass((call) => call.flops);
    const bytes = perPass((call) => call.bytes);
    return { op: seen[0]!.op, shape: seen[0]!.shape, calls: seen.length, ms, flops, bytes };
  });
  const total = sums.reduce((sum, { ms }) => sum + ms, 0);
  return sums
    .map(({ flops, bytes, ...facts }) => ({
      ...facts,
      share: facts.ms / total,
      gigaflops: flops / facts.ms / 1e6,
      gigabytesPerSecond: bytes / facts.ms / 1e6,
      ...boundOf(flops, bytes, facts.ms, roof),
    }))
    .sort((a, b) => b.ms - a.ms);
};

const boundOf = (flops: number, bytes: number, ms: number, roof: Roof): Pick<OpShare, 'ofRoof' | 'bound'> => {
  if (flops === 0 && bytes === 0) return {};
  const computeMs = flops / roof.gigaflops / 1e6;
  const memoryMs = bytes / roof.gigabytesPerSecond / 1e6;
  return { ofRoof: Math.max(computeMs, memoryMs) / ms, bound: computeMs >= memoryMs ? 'compute' : 'memory' };
};

/** Milliseconds by layer, as medians over passes. */
export const layerTimes = (
  passes: readonly (readonly OpCall[])[],
  numLayers: number,
): Pick<PassProfile, 'layerMs' | 'aroundMs'> => {
  const sums = passes.map((calls) => {
    const byLayer = new Float64Array(numLayers + 1);
    for (const { layer, ms } of calls) byLayer[layer ?? numLayers]! += ms;
    return byLayer;
  });
  const at = (layer: number): number => median(sums.map((byLayer) => byLayer[layer]!));
  return { layerMs: Array.from({ length: numLayers }, (_, layer) => at(layer)), aroundMs: at(numLayers) };
};
