/** Our side of bench:peers, in a process of its own like every peer's: one JSON line asks, another one answers. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { WinnowError } from '../../core/errors.js';
import type { IsaName, NumericsName, SampleRequest } from '../../engine/contract.js';
import { denseDecode, densePrefill } from '../../engine/dense-passes.js';
import { defaultOpenOptions } from '../../engine/index.js';
import { type LocalEngine, openLocal, type ServedEngine } from '../../engine/local.js';
import { resolveMethod } from '../../methods/load.js';
import { attentionMs, gemmMs } from './winnow-kernels.js';

let opened: LocalEngine | undefined;
const engine = (): LocalEngine => {
  if (opened !== undefined) return opened;
  throw new WinnowError('ERR_INTERNAL', 'winnow peer', 'load before anything else', 'no model');
};

interface LoadRequest {
  readonly path: string;
  readonly numerics: NumericsName;
  readonly threads: number;
  readonly isa: IsaName;
}

const load = ({ path, numerics, threads, isa }: LoadRequest) => {
  opened?.close();
  const start = performance.now();
  opened = openLocal(path, {
    ...defaultOpenOptions,
    numerics,
    threads,
    isa,
    resolveMethod,
    cancelled: () => {},
  });
  const ms = performance.now() - start;
  const { context, machine } = opened;
  return { ms, ...machine, weightBytes: context.device.addon.memory().weightBytes, vocabSize: context.facts.vocabSize };
};

const measurePrefill = ({ ids }: { readonly ids: readonly number[] }) => ({
  ms: densePrefill(engine().context, Int32Array.from(ids)),
});

interface DecodeRequest {
  readonly ids: readonly number[];
  readonly rows: number;
  readonly newTokens: number;
  readonly repeats: number;
}

/** Milliseconds of a decode step over a dense cache, as means over `repeats` stretches of `newTokens` steps one after the other. */
const measureDecode = async ({ ids, rows, newTokens, repeats }: DecodeRequest) => {
  const at: number[] = [];
  const cacheBytes = await denseDecode(engine().context, resolveMethod, {
    ids: Int32Array.from(ids),
    rows,
    steps: newTokens * repeats,
    onToken: () => at.push(performance.now()),
  });
  const ms = Array.from({ length: repeats }, (_, r) => (at[(r + 1) * newTokens]! - at[r * newTokens]!) / newTokens);
  return { ms, cacheBytes };
};

/** All settings of one sample by the product's own path, from text to text. */
const matrix = async ({ request }: { readonly request: SampleRequest }) => {
  const start = performance.now();
  const { outcomes, nativeMs, totalMs } = await engine().evaluate(request);
  const ms = performance.now() - start;
  const failed = outcomes.find((outcome) => outcome.status !== 'ok');
  if (failed !== undefined) throw new WinnowError('ERR_INTERNAL', failed.key, 'a result', JSON.stringify(failed));
  const answers = outcomes.map((outcome) => (outcome.status === 'ok' ? outcome.tokenIds : []));
  return { ms, answers, nativeMs, totalMs };
};

/** The ids of a sample, for peers that are given the same ones. */
const prepare = ({ request }: { readonly request: SampleRequest }) => {
  const { contextIds, questionIds } = engine().text.prepare(request.prompt);
  return { contextIds: [...contextIds], questionIds: [...questionIds] };
};

let ort: ServedEngine | undefined;

/** Milliseconds from text to the first token, in reference numerics here or by ONNX Runtime (the ort backend) in the same process. */
const firstToken = async ({ path, text, threads, backend }: FirstTokenRequest) => {
  if (backend === 'ort' && ort === undefined) {
    const { openOrt } = await import('../../engine/ort/engine.js');
    ort = await openOrt(path, { ...defaultOpenOptions, backend, threads, resolveMethod, cancelled: () => {} });
  }
  const start = performance.now();
  const { promptTokens } = await (backend === 'ort' ? ort! : engine()).generate({ text, raw: true, maxNewTokens: 1 });
  return { ms: performance.now() - start, promptTokens };
};

interface FirstTokenRequest {
  readonly path: string;
  readonly text: string;
  readonly threads: number;
  readonly backend: 'cpu' | 'ort';
}

/** Peak resident memory of this process so far. */
const memory = () => {
  const { weightBytes } = engine().context.device.addon.memory();
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const peakBytes = kilobytes === undefined ? process.resourceUsage().maxRSS * 1024 : Number(kilobytes) * 1024;
  return { peakBytes, weightBytes };
};

/** GFLOP/s of dot products and GB/s of reads that this machine reaches. */
const roof = ({ threads }: { readonly threads: number }) => {
  const { addon } = engine().context.device;
  const kinds = ['f32', 'bf16', 'int8'] as const;
  const peaks = Object.fromEntries(kinds.map((kind) => [kind, addon.benchPeak(kind, threads)]));
  return { ...peaks, read: addon.benchReadBandwidth(256, threads) };
};

const commands: Record<string, (values: never) => unknown> = {
  load,
  prefill: measurePrefill,
  decode: measureDecode,
  matrix,
  prepare,
  firstToken,
  memory,
  roof,
  gemm: (values: Parameters<typeof gemmMs>[1]) => ({ ms: gemmMs(engine().context.device, values) }),
  attention: (values: Parameters<typeof attentionMs>[1]) => ({ ms: attentionMs(engine().context.device, values) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...values } = JSON.parse(line) as { readonly call: string };
  let answer: unknown;
  try {
    answer = await commands[call]!(values as never);
  } catch (error) {
    answer = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
