/** The records of timing passes, as schemas. */
import { z } from 'zod';
import { deviceStateSchema, machineSchema, timingConditions } from './provenance-schema.js';
import { cellIdSchema, failureSchema, failureStatusSchema } from './record-words.js';

const count = z.number().int().nonnegative();
const measured = z.number().nonnegative();

/** What a device said right before and after the clock ran. */
const deviceStates = {
  device: z.strictObject({ before: deviceStateSchema.optional(), after: deviceStateSchema.optional() }).optional(),
};

/** One timed sample of one setting. Times of different passes are never compared. */
export const timingSchema = z.strictObject({
  cellId: cellIdSchema,
  sampleId: z.string(),
  repeat: count,
  prefillMs: measured,
  compressionMs: measured,
  timeToFirstTokenMs: measured,
  decodeMsPerToken: measured,
  generatedTokens: count,
  peakResidentBytes: measured.optional(),
  peakDeviceBytes: measured.optional(),
  /** Of a device: times a decode step that the host waited for its values; the chosen token is one. */
  hostReadsPerStep: measured.optional(),
  ...deviceStates,
});
export type TimingRecord = z.infer<typeof timingSchema>;

/** Decode steps of several rows of one setting after one prefill, each row in a cache of its own; or why there are none. */
const batchHead = {
  cellId: cellIdSchema,
  sampleId: z.string(),
  asked: z.union([count, z.literal('largest')]),
};
export const batchSchema = z.discriminatedUnion('status', [
  z.strictObject({
    ...batchHead,
    status: z.literal('ok'),
    rows: count,
    /** Median and mean over the timed steps, each of which gives every row a token. */
    stepMs: measured,
    meanStepMs: measured,
    steps: count,
    /** Of all rows together. */
    kvCacheBytes: measured,
    kvBytesReadPerStep: measured,
    peakDeviceBytes: measured.optional(),
    hostReadsPerStep: measured.optional(),
    /** Of the largest batch: the bytes it had to fit, and the number of rows for which memory ran out all the same. */
    memoryBytes: count.optional(),
    halvedFrom: count.optional(),
    ...deviceStates,
  }),
  z.strictObject({ ...batchHead, status: failureStatusSchema, error: failureSchema }),
]);
export type BatchRecord = z.infer<typeof batchSchema>;

/** Settings of one task, length and protocol, timed interleaved beside dense. */
export const timingPassSchema = z.strictObject({
  schemaVersion: z.literal(1),
  passId: cellIdSchema,
  machine: machineSchema,
  ...timingConditions,
  timings: z.array(timingSchema),
  batches: z.array(batchSchema).optional(),
});
export type TimingPass = z.infer<typeof timingPassSchema>;
