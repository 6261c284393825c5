/**
 * Lines of `winnow_cuda_test`, `winnow_cuda_bench` and `sdpa.py` as traces: what was computed (definition), on which sizes (workload), by
 * whom (solution), whether it was right and only then how fast. The words are those of flashinfer-bench.
 */
import { z } from 'zod';
import { WinnowError } from '../core/errors.js';

export interface Trace {
  readonly definition: string;
  readonly workload: Readonly<Record<string, number | string>> & { readonly name: string };
  readonly solution: string;
  /** `untested`: no parity case of the operation was among the lines, so its time proves nothing. */
  readonly status: 'passed' | 'incorrect' | 'untested' | 'failed';
  readonly correctness?: { readonly cases: number; readonly passed: number; readonly worstError: number };
  /** Only of what passed, and of solutions that are not ours. Milliseconds, GB/s, TFLOP/s; `ofCopy`: of the run's copy bandwidth. */
  readonly performance?: Readonly<Record<string, number | string>>;
  readonly environment: Readonly<Record<string, string>>;
}

const line = z.looseObject({
  test: z.string().optional(),
  cases: z.number().optional(),
  ok: z.number().optional(),
  worstError: z.number().optional(),
  op: z.string().optional(),
  status: z.string().optional(),
  error: z.number().nullish(),
  name: z.string().optional(),
  solution: z.string().optional(),
  shape: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
  ms: z.number().optional(),
  device: z.string().optional(),
  computeCapability: z.string().optional(),
  driver: z.string().optional(),
  torch: z.string().optional(),
  peer: z.string().optional(),
});
type Line = z.infer<typeof line>;

/** The operation whose parity cases a benchmark's name stands for; the longest prefix counts. */
const definitions: readonly (readonly [prefix: string, op: string])[] = [
  ['decode-packed-', 'decode_packed'],
  ['sets-', 'attend_sets'],
  // The layers of a step: their products are most of it.
  ['step-layers-', 'linear'],
  ['decode-int4', 'decode_attention_int4'],
  ['decode', 'decode_attention'],
  ['prefill', 'prefill_attention'],
  ['linear', 'linear'],
  ['any', 'attention_any'],
  ['quantise', 'kv_quantise'],
];
const definitionOf = (name: string): string => {
  const part = /^snapkv-.*-(window-scores|top-k|compact)/.exec(name)?.[1];
  if (part !== undefined) return part === 'compact' ? 'gather_compact' : part.replaceAll('-', '_');
  return definitions.find(([prefix]) => name.startsWith(prefix))?.[1] ?? name.replace(/-.*$/, '');
};

/** Throws: ERR_RECORD for a line that is not one of theirs. */
export const cudaTraces = (text: string, where: string): Trace[] => {
  const lines = text
    .split('\n')
    .filter((row) => row.trim() !== '')
    .map((row, at) => readLine(row, `${where}:${at + 1}`));
  const environment: Record<string, string> = {};
  for (const one of lines)
    for (const key of ['device', 'computeCapability', 'driver', 'torch'] as const)
      if (one[key] !== undefined) environment[key] ??= one[key];
  const parity = parityOf(lines);
  const shapes = new Map(lines.flatMap(({ name, shape }) => (name && shape ? [[name, shape] as const] : [])));
  return lines.flatMap((one): Trace[] => {
    const { name, solution } = one;
    if (name === undefined || one.peer !== undefined || name === 'copy') return [];
    const definition = definitionOf(name);
    const correctness = parity.get(definition);
    const base = { definition, workload: { ...shapes.get(name), name }, environment };
    if (one.ms === undefined) return [{ ...base, solution: solution ?? 'winnow', status: 'failed' }];
    const isOurs = solution === 'winnow';
    const status = !isOurs ? 'passed' : correctness === undefined ? 'untested' : statusOf(correctness);
    return [
      {
        ...base,
        solution: solution ?? 'winnow',
        status,
        ...(isOurs && correctness !== undefined ? { correctness } : {}),
        ...(status === 'passed' ? { performance: performanceOf(one) } : {}),
      },
    ];
  });
};

const readLine = (row: string, where: string): Line => {
  let value: unknown;
  try {
    value = JSON.parse(row);
  } catch {
    value = row;
  }
  const parsed = line.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new WinnowError('ERR_RECORD', where, 'a line of JSON of the CUDA test or benchmark', row.slice(0, 80));
};

type Correctness = NonNullable<Trace['correctness']>;
const statusOf = ({ cases, passed }: Correctness): 'passed' | 'incorrect' =>
  passed === cases ? 'passed' : 'incorrect';

/** Summed by operation, whether the lines are cases or sums already. */
const parityOf = (lines: readonly Line[]): Map<string, Correctness> => {
  const sums = new Map<string, Correctness>();
  for (const { test, op, cases, ok, worstError, status, error } of lines) {
    const name = test ?? op;
    if (name === undefined || (test === undefined && (status === undefined || status === 'skipped'))) continue;
    const before = sums.get(name) ?? { cases: 0, passed: 0, worstError: 0 };
    sums.set(name, {
      cases: before.cases + (cases ?? 1),
      passed: before.passed + (ok ?? (status === 'ok' ? 1 : 0)),
      worstError: Math.max(before.worstError, worstError ?? error ?? 0),
    });
  }
  return sums;
};

const performanceOf = (one: Line): Record<string, number | string> => {
  const keys = ['ms', 'msMin', 'msMax', 'repeats', 'calls', 'tflops', 'gbps', 'ofCopy', 'l2'];
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = one[key];
      return typeof value === 'number' || typeof value === 'string' ? [[key, value] as const] : [];
    }),
  );
};
