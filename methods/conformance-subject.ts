/** What the conformance suite knows of the method under test, and the requests that its checks share. */
import assert from 'node:assert/strict';
import { sha256Hex } from '../core/canonical-json.js';
import { createRandom } from '../core/random.js';
import type { BenchRequest, BenchResult, BenchRow, BenchSetting, ConformanceBench } from './conformance-bench.js';
import type { Declaration, Hooks, Method, ModelFacts, Need, Protocol } from './contract.js';
import { parseParams } from './params.js';

export interface ConformanceOptions {
  /** Parameters that fit small models and short contexts, as a user would give them. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** Tokens of the context; enough for the method to act. */
  readonly contextTokens?: number;
  /** Why this method's choice depends on the sample seed and on head numbers; absent: it must not. */
  readonly randomised?: string;
  /** Where the engine computes; absent: cpu, in reference numerics. */
  readonly backend?: 'cpu' | 'cuda';
  /** Properties that this backend's rounding breaks, with the reason. */
  readonly leftOut?: Readonly<Record<string, string>>;
}

export interface Subject {
  readonly method: Method;
  readonly params: object;
  readonly contextTokens: number;
  readonly randomised?: string;
}

export const subjectOf = (method: Method, options: ConformanceOptions): Subject => ({
  method,
  params: parseParams(method, options.params ?? {}),
  contextTokens: options.contextTokens ?? 96,
  ...(options.randomised === undefined ? {} : { randomised: options.randomised }),
});

/** Declaration and hooks at half the context; a method that needs the question is asked query-aware. */
export const describeSubject = (
  { method, params, contextTokens }: Subject,
  model: ModelFacts,
): { readonly declared: Declaration; readonly hooks: Hooks } => {
  const tokens = Math.floor(contextTokens / 2);
  const budget = { tokens, fraction: 0.5, contextTokens, covers: method.covers ?? 'context' } as const;
  const setting = { params, budget, protocol: 'query-aware' } as const;
  return { declared: method.declare(setting, model), hooks: method.hooks(setting, model) };
};

export const QUESTION_TOKENS = 7;
const NEW_TOKENS = 6;

/**
 * Token ids without pattern, the same for the same name; none twice among the first 290, since equal tokens have keys of equal norm and
 * ties would be broken by rounding. Ids 0 to 2 are the special tokens of the tiny models.
 */
export const tokenIds = (name: number, count: number): Int32Array => {
  const order = createRandom('tokens', name).shuffle(Array.from({ length: 290 }, (_, i) => i + 3));
  return Int32Array.from({ length: count }, (_, i) => order[i % order.length]!);
};

export const requestFor = (subject: Subject, change: Partial<BenchRequest> = {}): BenchRequest => ({
  contextIds: tokenIds(1, subject.contextTokens),
  questionIds: tokenIds(2, QUESTION_TOKENS),
  settings: [settingFor(subject)],
  protocol: 'query-aware',
  maxNewTokens: NEW_TOKENS,
  evidence: [{ start: 10, end: 14 }],
  sampleSeed: 5,
  ...change,
});

/** The subject at a share of the context; `dense` takes no budget. */
export const settingFor = ({ method, params }: Subject, keptFraction = 0.5, key = method.id): BenchSetting => ({
  key,
  method,
  params,
  ...(method.budgetAxis === 'none' ? {} : { keptFraction }),
});

export type OkRow = BenchRow & { readonly status: 'ok' } & BenchResult;

export const runAll = async (bench: ConformanceBench, request: BenchRequest): Promise<OkRow[]> =>
  (await bench.run(request)).map((row) => {
    if (row.status === 'ok') return row;
    throw new Error(`${row.key}: ${row.error.message}`);
  });

export const runOne = async (bench: ConformanceBench, request: BenchRequest): Promise<OkRow> =>
  (await runAll(bench, request))[0]!;

/** Everything about a row that other rows, forks or a repetition must not change; logits as hashes, so that a difference prints fast. */
export const fingerprint = ({ tokenIds: ids, logits, kept, hashes }: BenchResult): object => ({
  ids: ids.join(),
  logits: logits.map(hashOf),
  kept: kept.map((layer) => layer.map((head) => head.join())),
  hashes,
});

const hashOf = (line: Float32Array): string =>
  sha256Hex(new Uint8Array(line.buffer, line.byteOffset, line.byteLength)).slice(0, 16);

/** The same bits at every step; the first difference is named. */
export const assertSameLogits = (actual: readonly Float32Array[], expected: readonly Float32Array[]): void => {
  assert.equal(actual.length, expected.length, 'number of steps');
  actual.forEach((line, step) => {
    const at = line.findIndex((value, i) => !Object.is(value, expected[step]![i]));
    if (at >= 0) assert.fail(`step ${step}, token ${at}: logit ${line[at]} instead of ${expected[step]![at]}`);
  });
};

export const protocols: readonly Protocol[] = ['query-agnostic', 'query-aware'];

/** Index of each (layer, KV head) in layer-major arrays, evictable ones only. */
export const evictableHeads = (facts: ModelFacts): number[] => {
  const indices: number[] = [];
  let index = 0;
  for (const layer of facts.layers) {
    for (let head = 0; head < layer.numKvHeads; head++, index++) if (layer.evictable) indices.push(index);
  }
  return indices;
};

/** Bytes of K and V of one slot, by (layer, KV head). */
export const slotBytesByHead = (facts: ModelFacts): number[] =>
  facts.layers.flatMap((layer) =>
    new Array<number>(layer.numKvHeads).fill((layer.headDim + layer.headDimV) * facts.elementBytes),
  );

/** Bytes of declared state of one row with these slots, from the declaration alone; pools as full as they may get. */
export const declaredStateBytes = (subject: Subject, facts: ModelFacts, slots: Int32Array): number => {
  const { declared } = describeSubject(subject, facts);
  const size = { f32: 4, bf16: 2, i32: 4, u8: 1 } as const;
  let bytes = 0;
  for (const field of Object.values(declared.state)) {
    let index = 0;
    for (const layer of facts.layers) {
      const lens = slots.subarray(index, index + layer.numKvHeads);
      index += layer.numKvHeads;
      if (field.per === 'page')
        for (const len of lens) bytes += Math.ceil(len / field.pageSize) * field.width * size[field.dtype];
      if (field.per === 'pool')
        bytes += lens.length * field.maxRows(Math.max(...slots)) * field.width * size[field.dtype];
      if (field.per === 'slot') for (const len of lens) bytes += len * field.width * size[field.dtype];
    }
  }
  return bytes;
};

/** Window queries that a method asks for; 6 where it asks for none, to have a size to vary around. */
export const windowOf = (needs: readonly Need[]): number => {
  const need = needs.find((known) => 'view' in known && known.view === 'windowQueries');
  return need !== undefined && 'last' in need && need.last !== 'question' ? need.last : 6;
};
