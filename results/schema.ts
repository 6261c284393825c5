/** The records of a run directory, as schemas that also check what is read back from disk. */
import { z } from 'zod';
import { deviceSchema } from './device-schema.js';
import { codeSchema, loadSchema, machineSchema, modelFactsSchema, softwareSchema } from './provenance-schema.js';
import { cellIdSchema, failureSchema, failureStatusSchema } from './record-words.js';

export { cellIdSchema, failureStatusSchema } from './record-words.js';
export { type BatchRecord, type TimingPass, type TimingRecord, timingPassSchema } from './timing-schema.js';

const text = z.string();
const count = z.number().int().nonnegative();
const measured = z.number().nonnegative();
const share = z.number().min(0).max(1);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const promptHash = z.string().regex(/^[0-9a-f]{16}$/);
const json = z.record(z.string(), z.json());

export const protocolSchema = z.enum(['query-agnostic', 'query-aware']);
export const budgetAxisSchema = z.enum([
  'residentBytes',
  'bytesRead',
  'promptTokens',
  'density',
  'weightBytes',
  'none',
]);
export interface MethodRecord {
  id: string;
  file?: string | undefined;
  params: Record<string, z.core.util.JSONType>;
  profile?: string | undefined;
  profileSha256?: string | undefined;
  parts?: MethodRecord[] | undefined;
}
const methodSchema: z.ZodType<MethodRecord> = z.lazy(() =>
  z.strictObject({
    id: text,
    file: text.optional(),
    params: json,
    profile: text.optional(),
    profileSha256: hash.optional(),
    parts: z.array(methodSchema).optional(),
  }),
);

/** A planned cell with the facts about its method that tables need. */
export const cellFactsSchema = z.strictObject({
  cellId: cellIdSchema,
  task: text,
  taskName: text,
  contextLength: count,
  method: methodSchema,
  keptFraction: z.number().gt(0).max(1).optional(),
  tokenBudget: z.number().int().positive().optional(),
  protocol: protocolSchema,
  budgetAxis: budgetAxisSchema,
  /** Sees what no method may see, or is random: never ranked. */
  control: z.boolean(),
  /** Masks instead of freeing memory. */
  simulated: z.boolean(),
  training: z.enum(['none', 'calibration', 'released-weights', 'untrained-stand-in']),
  /** Mean score of guessing, where the task says one. */
  chance: share.optional(),
  /** The task asks for the documents that its answer needs instead of the answer. */
  ask: z.literal('evidence').optional(),
});
export type CellFacts = z.infer<typeof cellFactsSchema>;

const metaSchema = z.record(z.string(), z.union([text, z.number(), z.boolean()]));

const sampleHead = {
  sampleId: text,
  index: count,
  /** First 16 hex digits of the sha256 of what was asked: the sample's parts before any method changed them. */
  promptHash: promptHash.optional(),
  meta: metaSchema.optional(),
};

/** One question of several over one context. */
const turnSchema = z.strictObject({
  prediction: text,
  references: z.array(text),
  question: text,
  classes: z.array(text).optional(),
  score: share,
  finishReason: z.enum(['stop', 'length']),
  promptTokens: count,
  generatedTokens: count,
  kvCacheBytes: measured,
  kvCacheBytesPeak: measured,
  kvBytesReadPerStep: measured,
  evidenceRecall: share.optional(),
  meta: metaSchema.optional(),
});
export type TurnRecord = z.infer<typeof turnSchema>;

/** What was known when the cache of a sample with turns was compressed. */
export const compressedForSchema = z.enum(['context', 'first-question', 'each-question']);

const scoredSampleSchema = z.strictObject({
  ...sampleHead,
  status: z.literal('ok'),
  prediction: text,
  references: z.array(text),
  /** What a scorer may look at beside the references, so that scores can be recomputed from the record. */
  question: text.optional(),
  classes: z.array(text).optional(),
  score: share,
  /** Of an answer in steps: the score of each, in order. */
  stepScores: z.array(share).optional(),
  /** Of a continuation that was given instead of generated: how likely the model found it. */
  given: z.strictObject({ tokens: count, logProbability: z.number().max(0), greedyTokens: count }).optional(),
  finishReason: z.enum(['stop', 'length']),
  promptTokens: count,
  contextTokens: count,
  generatedTokens: count,
  kvCacheBytes: measured,
  kvCacheBytesPeak: measured.optional(),
  expectedKvCacheBytes: measured.optional(),
  kvBytesReadPerStep: measured,
  /** Only of methods with a second tier. */
  kvBytesMovedPerStep: measured.optional(),
  /** Absent where the sample has no evidence spans. */
  evidenceRecall: share.optional(),
  density: measured,
  auxiliaryTokens: count,
  indexBytes: measured,
  /** All turns; the score beside them is their mean, bytes and recall are means over them, the prediction is the first. */
  turns: z.array(turnSchema).min(2).optional(),
  compressedFor: compressedForSchema.optional(),
  /** Positions kept per layer and KV head, only when asked for. */
  kept: z.array(z.array(z.array(count))).optional(),
});
const failedSampleSchema = z.strictObject({
  ...sampleHead,
  status: failureStatusSchema,
  error: failureSchema,
  promptTokens: count.optional(),
});
export const sampleSchema = z.discriminatedUnion('status', [scoredSampleSchema, failedSampleSchema]);
export type ScoredSample = z.infer<typeof scoredSampleSchema>;
export type SampleRecord = z.infer<typeof sampleSchema>;

/** Means over the samples of a cell. Absent = not measured. */
export const aggregatesSchema = z.strictObject({
  score: share,
  scoreLow: share,
  scoreHigh: share,
  evidenceRecall: share.optional(),
  density: measured,
  kvCacheBytes: measured,
  kvBytesReadPerStep: measured,
  kvBytesMovedPerStep: measured.optional(),
  promptTokens: measured,
  /** Of whole prompts, template and answer prefix included. */
  promptTokensMin: count.optional(),
  promptTokensMedian: measured.optional(),
  promptTokensMax: count.optional(),
  /** Samples that lost the middle of their text to fit, and the median of the tokens that those lost. */
  truncatedSamples: count.optional(),
  truncatedTokensMedian: measured.optional(),
  contextTokens: measured,
  generatedTokens: measured,
  auxiliaryTokens: measured,
  indexBytes: measured,
});
export type CellAggregates = z.infer<typeof aggregatesSchema>;

/** `n` counts scored samples. A cell with any failed sample has no aggregates: a mean over the easy ones would flatter it. */
export const cellSchema = z.strictObject({
  schemaVersion: z.literal(1),
  cell: cellFactsSchema,
  status: z.enum(['ok', ...failureStatusSchema.options]),
  error: failureSchema.optional(),
  n: count,
  samplesSha256: hash,
  aggregates: aggregatesSchema.optional(),
});
export type CellRecord = z.infer<typeof cellSchema>;

export const runHeaderSchema = z.strictObject({
  /** What a person types to get this run again. */
  command: text,
  model: z.strictObject({ id: text, sha256: hash, bytes: count, facts: modelFactsSchema.optional() }),
  suite: z.strictObject({ id: text, version: count, fileSha256: hash, resolvedSha256: hash, resolved: json }),
  seeds: z.record(z.string(), z.number().int()),
  /** What counted the tokens of lengths and prompts. */
  tokenizer: text.optional(),
  /** Files that samples were made from; `trust` says who vouches for the hash: the manifest, the first pull, or nobody but the user. */
  datasets: z
    .array(
      z.strictObject({
        dataset: text,
        file: text,
        sha256: hash,
        trust: z.enum(['manifest', 'first-pull', 'own-file']),
      }),
    )
    .optional(),
  numerics: z.enum(['native', 'reference']),
  backend: z.enum(['cpu', 'cuda', 'ort']),
  isa: text,
  threads: count,
  /** What computed, where that was not the host. */
  device: deviceSchema.optional(),
});
export type RunHeader = z.infer<typeof runHeaderSchema>;

export const countsSchema = z.strictObject({
  prefills: count,
  prefillsUnshared: count,
  nativeMs: measured,
  totalMs: measured,
});
export type RunCounts = z.infer<typeof countsSchema>;

export const runStatusSchema = z.enum(['running', 'interrupted', 'finished', 'failed']);
export type RunStatus = z.infer<typeof runStatusSchema>;

export const runSchema = z.strictObject({
  schemaVersion: z.literal(1),
  id: text,
  status: runStatusSchema,
  createdAt: z.iso.datetime(),
  finishedAt: z.iso.datetime().optional(),
  /** Code of the error that ended a failed run. */
  failure: text.optional(),
  configurationSha256: hash,
  configuration: json,
  ...runHeaderSchema.shape,
  code: codeSchema,
  machine: machineSchema,
  software: softwareSchema,
  /** When the run began. */
  load: loadSchema.optional(),
  /** Later starts of the same run by other code or on another machine. */
  continuations: z.array(
    z.strictObject({ startedAt: z.iso.datetime(), code: codeSchema, machine: machineSchema, software: softwareSchema }),
  ),
  /** Of a copy whose scores were computed again: the run.json that the outputs are of, and who scored them. */
  scored: z.strictObject({ runSha256: hash, code: codeSchema }).optional(),
  /** Of runs put together: where the cells came from. */
  merged: z
    .array(z.strictObject({ id: text, runSha256: hash, code: codeSchema, machine: machineSchema, cells: count }))
    .optional(),
  statistics: z.strictObject({
    interval: z.literal('BCa bootstrap'),
    level: z.number(),
    draws: count,
    seed: z.number().int(),
  }),
  prefills: count,
  prefillsUnshared: count,
  /** 1 - time in native ops / time in the engine; absent until measured. */
  engineOverheadShare: z.number().optional(),
  nativeMs: measured,
  totalMs: measured,
});
export type RunRecord = z.infer<typeof runSchema>;
