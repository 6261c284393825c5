import { z } from 'zod';

/** What a gate policy may say; what it leaves out has the default that is written here. */

/** Counted by the engine, the same on every machine: compared exactly. All are costs but the recall. */
export const countedQuantities = [
  'kvCacheBytes',
  'kvCacheBytesPeak',
  'kvBytesReadPerStep',
  'kvBytesMovedPerStep',
  'density',
  'promptTokens',
  'auxiliaryTokens',
  'indexBytes',
  'evidenceRecall',
] as const;
export const timedQuantities = [
  'prefillMs',
  'compressionMs',
  'timeToFirstTokenMs',
  'decodeMsPerToken',
  'peakResidentBytes',
  'peakDeviceBytes',
] as const;
export const gateChecks = ['presence', 'outputs', 'counted', 'quality', 'time'] as const;

const alpha = z.number().gt(0).max(0.5).default(0.05).meta({
  description: 'Chance of any false alarm of this kind when nothing changed (Holm over all comparisons).',
});

const counted = z.strictObject({
  quantities: z
    .array(z.enum(countedQuantities))
    .min(1)
    .default([...countedQuantities]),
  tolerance: z.number().min(0).max(1).default(0).meta({ description: 'Share by which a sample may cost more.' }),
});

const quality = z.strictObject({
  per: z
    .enum(['setting', 'cell'])
    .default('setting')
    .meta({ description: 'setting: each method and budget over all its cells; cell: every task and length apart.' }),
  margin: z.number().gt(0).max(1).default(0.01).meta({ description: 'In score: a loss of no more counts as none.' }),
  alpha,
});

const time = z.strictObject({
  quantities: z.array(z.enum(timedQuantities)).min(1).default(['timeToFirstTokenMs', 'decodeMsPerToken']),
  tolerance: z.number().min(0).max(10).default(0.05).meta({ description: 'Share by which it may take longer.' }),
  alpha,
});

const waiver = z
  .strictObject({
    check: z.enum(gateChecks).optional(),
    quantity: z.string().optional(),
    task: z.string().optional(),
    length: z.int().min(1).optional(),
    method: z.string().optional(),
    reason: z.string().min(1),
    owner: z.string().min(1),
    expires: z.iso.date().meta({ description: 'Last day on which it holds: 2026-12-31.' }),
  })
  .refine(
    ({ check, quantity, task, length, method }) =>
      [check, quantity, task, length, method].some((field) => field !== undefined),
    'a waiver that names what it waives: check, quantity, task, length or method',
  );

export const policySchema = z.strictObject({
  version: z.literal(1),
  outputs: z
    .enum(['exact', 'ignore'])
    .default('ignore')
    .meta({ description: 'exact: any changed answer is a regression; for reference numerics.' }),
  counted: counted.default(counted.parse({})),
  quality: quality.default(quality.parse({})),
  time: time.optional().meta({ description: 'Only where it is given, and both sides have timing passes.' }),
  missing: z.enum(['fail', 'pass']).default('fail').meta({ description: 'Cells that the candidate lacks.' }),
  inconclusive: z
    .enum(['fail', 'pass'])
    .default('fail')
    .meta({ description: 'fail: exit code 4 where the samples cannot settle it.' }),
  waivers: z.array(waiver).default([]),
});

export type Policy = z.output<typeof policySchema>;
export type Waiver = Policy['waivers'][number];

/** JSON Schema of policies, for completion in editors. */
export const policyJsonSchema = (): Record<string, unknown> => ({
  ...z.toJSONSchema(policySchema, { io: 'input', unrepresentable: 'any' }),
  title: 'Winnow gate policy',
});
