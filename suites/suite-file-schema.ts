import { z } from 'zod';
import { parseFraction, parseLength, parseMemory } from '../core/units.js';
import { MOST_BATCH_ROWS } from '../engine/core/largest-batch.js';

/** What a suite file may say. Shapes only: names, parameters and duplicates are checked when it is resolved. */

const length = z
  .union([z.number(), z.string()])
  .refine((value) => parseLength(value) !== undefined, 'a length in tokens, such as 4096 or 4k')
  .meta({ description: 'Tokens of the whole prompt with room for the answer: 4096 or 4k.' });

const fraction = z
  .union([z.number(), z.string()])
  .refine((value) => parseFraction(value) !== undefined, 'a fraction kept, above 0 and up to 1, such as 0.25 or 25%')
  .meta({ description: 'Share of the context kept: 0.25 or 25%.' });

const protocol = z.enum(['query-aware', 'query-agnostic']);
const tokens = z.int().min(1);
const params = z.record(z.string(), z.json());
const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, 'a name of letters, digits and . _ + - (at most 64)');

const task = z.union([
  z.string(),
  z.strictObject({
    id: z.string(),
    name: name.optional().meta({ description: 'Tells apart two entries of one task; the id unless given.' }),
    params: params.optional(),
    ask: z.enum(['answer', 'evidence']).optional().meta({
      description:
        'evidence: ask for the documents that the answer needs instead of the answer; the name is then NAME-evidence.',
    }),
    maxNewTokens: tokens.optional(),
    lengths: z.array(length).min(1).optional().meta({ description: "Instead of the suite's lengths." }),
  }),
]);

const part = z.union([
  z.string(),
  z.strictObject({ id: z.string().optional(), file: z.string().optional(), params: params.optional() }),
]);

const method = z.union([
  z.string(),
  z.strictObject({
    id: z.string().optional(),
    file: z.string().optional().meta({ description: "A module of your own, from this file's folder." }),
    compose: z.array(part).min(2).optional(),
    profile: z
      .string()
      .optional()
      .meta({ description: "What calibration found out: a file, from this file's folder." }),
    params: params.optional(),
  }),
]);

const oneOrMore = <T extends z.ZodType>(schema: T) => z.union([schema, z.array(schema).min(1)]);

const exclusion = z.strictObject({
  method: z.string(),
  when: z
    .strictObject({
      task: oneOrMore(z.string()).optional(),
      length: oneOrMore(length).optional(),
      keptFraction: oneOrMore(fraction).optional(),
      tokenBudget: oneOrMore(tokens).optional(),
      protocol: oneOrMore(protocol).optional(),
      params: params.optional().meta({ description: 'Only where the method has these parameters.' }),
    })
    .optional(),
  reason: z.string().min(1),
});

const memory = z
  .union([z.number(), z.string()])
  .refine((value) => parseMemory(value) !== undefined, 'bytes, such as 8g or 512m')
  .meta({ description: 'Bytes, or 8g (2^30 each).' });

const batch = z
  .strictObject({
    sizes: z
      .array(z.union([z.int().min(1).max(MOST_BATCH_ROWS), z.literal('largest')]))
      .min(1)
      .meta({ description: `Rows that decode together, 1 to ${MOST_BATCH_ROWS}; largest: as many as fit the memory.` }),
    methods: z.array(z.string()).min(1).optional().meta({ description: 'Only of these methods.' }),
    lengths: z.array(length).min(1).optional().meta({ description: 'Only at these lengths.' }),
    memory: memory.optional().meta({ description: "What the largest has to fit; the device's own unless given." }),
  })
  .meta({ description: 'Decode steps of several rows of one setting, each in a cache of its own.' });

export const suiteFileSchema = z.strictObject({
  id: name,
  version: z.int().min(1).meta({ description: 'Rises whenever an unchanged method could score differently.' }),
  question: z.string().min(1).meta({ description: 'The one question that the suite answers.' }),
  model: z.string().min(1).default('smollm2-135m-instruct'),
  seed: z.int().min(0).default(0),
  samples: z.int().min(1),
  lengths: z.array(length).min(1).optional(),
  tasks: z.array(task).min(1),
  methods: z.array(method).min(1),
  keptFractions: z.array(fraction).default([]),
  tokenBudgets: z.array(tokens).default([]),
  protocols: z.array(protocol).min(1).default(['query-aware']),
  chatTemplate: z.boolean().default(true),
  exclude: z.array(exclusion).default([]),
  timed: z
    .strictObject({
      tasks: z.array(z.string()).min(1).optional(),
      protocols: z.array(protocol).min(1).optional(),
      rounds: z
        .record(z.string(), z.int().min(1))
        .refine((rounds) => Object.keys(rounds).every((key) => parseLength(key) !== undefined), 'lengths as keys')
        .optional()
        .meta({ description: 'Measured rounds at a length, where five would take too long: {128k: 1}.' }),
      warmUp: z.enum(['every', 'first']).optional().meta({
        description: 'first: only the first setting of a length runs once unmeasured, not every one.',
      }),
      batch: batch.optional(),
    })
    .optional()
    .meta({ description: 'What the timing pass is for, and how often; everything, five rounds, unless given.' }),
  superiority: z.array(z.string()).min(1).optional().meta({
    description: 'Methods that are claimed to be better, said before the run: only they may be called better after it.',
  }),
});

export type SuiteFile = z.output<typeof suiteFileSchema>;

/** JSON Schema of suite files, for completion in editors. */
export const suiteJsonSchema = (): Record<string, unknown> => ({
  ...z.toJSONSchema(suiteFileSchema, { io: 'input', unrepresentable: 'any' }),
  title: 'Winnow suite',
});
