import type { BenchRow } from '../bench-rows.js';

interface Target {
  readonly name: string;
  /** Part of the shape that it is for; absent: every shape. */
  readonly shape?: string;
  readonly peer?: string;
  /** By whether the machine has AMX; one number when that does not matter. */
  readonly ratio?: number | { readonly amx: number; readonly other: number };
  /** Bounds of the rate. */
  readonly rateAtLeast?: number | { readonly amx: number; readonly other: number };
  readonly rateAtMost?: number;
  readonly msAtMost?: number;
}

/** What the project set out to reach; what was missed stays in the table. */
const targets: readonly Target[] = [
  { name: 'prefill', shape: '1024', peer: 'torch bf16', ratio: { amx: 1.2, other: 1.9 } },
  { name: 'prefill', shape: '4096', peer: 'torch bf16', ratio: { amx: 1.2, other: 2.5 } },
  { name: 'prefill', peer: 'llama.cpp', ratio: { amx: 5, other: 7 } },
  { name: 'prefill-reference', peer: 'torch f32', ratio: 1 },
  { name: 'attention-prefill', peer: 'torch SDPA bf16', ratio: { amx: 1.1, other: 4 } },
  { name: 'gemm', shape: '2048x8192', rateAtLeast: { amx: 60, other: 85 } },
  { name: 'decode', peer: 'llama.cpp', ratio: 2.3, rateAtLeast: 70 },
  { name: 'decode-batch', shape: '16 rows', rateAtMost: 5 },
  { name: 'matrix', shape: '13 settings, 1', peer: 'kvpress bf16', ratio: 20 },
  { name: 'matrix', shape: '13 settings, 4', peer: 'kvpress bf16', ratio: 35 },
  { name: 'load', msAtMost: 1500 },
  { name: 'memory', rateAtMost: 300 },
  { name: 'overhead', rateAtMost: 3 },
  { name: 'busy-core', ratio: 1 },
];

/** The target of a row and whether its medians reach all of it; undefined for rows without one. */
export const targetOf = (row: BenchRow): { readonly text: string; readonly isMet: boolean } | undefined => {
  const target = targets.find(
    ({ name, shape, peer }) =>
      name === row.name &&
      (shape === undefined || row.shape.includes(shape)) &&
      (peer === undefined || peer === row.peer),
  );
  if (target === undefined) return undefined;
  const here = (bound: number | { readonly amx: number; readonly other: number }): number =>
    typeof bound === 'number' ? bound : row.isa === 'amx' ? bound.amx : bound.other;
  const parts: { text: string; isMet: boolean }[] = [];
  const { ratio, rateAtLeast, rateAtMost, msAtMost } = target;
  if (ratio !== undefined)
    parts.push({ text: `ratio ≥ ${here(ratio)}`, isMet: row.ratio !== null && row.ratio >= here(ratio) });
  if (rateAtLeast !== undefined)
    parts.push({ text: `≥ ${here(rateAtLeast)} %`, isMet: row.rate.value >= here(rateAtLeast) });
  if (rateAtMost !== undefined) parts.push({ text: `≤ ${rateAtMost}`, isMet: row.rate.value <= rateAtMost });
  if (msAtMost !== undefined) parts.push({ text: `≤ ${msAtMost} ms`, isMet: row.oursMs <= msAtMost });
  return { text: parts.map(({ text }) => text).join(' and '), isMet: parts.every(({ isMet }) => isMet) };
};
