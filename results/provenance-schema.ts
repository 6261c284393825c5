/** Who computed a run, as schemas. Everything beyond the first lines is optional: older records have less, and so do other systems. */
import { z } from 'zod';

const text = z.string();
const count = z.number().int().nonnegative();
const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** Numbers in bytes and whole units; what a system does not tell is absent. */
export const machineSchema = z.strictObject({
  cpu: text,
  /** Threads of the processor that this process may use. */
  cores: count,
  /** Instruction-set flags that our kernels look at. */
  flags: z.array(text),
  memoryBytes: count,
  architecture: text.optional(),
  cpuFamily: count.optional(),
  cpuModel: count.optional(),
  stepping: count.optional(),
  microcode: text.optional(),
  physicalCores: count.optional(),
  sockets: count.optional(),
  numaNodes: count.optional(),
  /** By level, of one core: `L1d`, `L2`, `L3`. */
  cacheBytes: z.record(z.string(), count).optional(),
  /** Of all cores; absent in most virtual machines. */
  governors: z.array(text).optional(),
  turbo: z.boolean().optional(),
  transparentHugePages: text.optional(),
  virtualised: z.boolean().optional(),
  container: z
    .strictObject({ kind: text, memoryLimitBytes: count.optional(), cpuLimit: z.number().positive().optional() })
    .optional(),
  swapBytes: count.optional(),
  gpus: z.array(text).optional(),
  gpuDriver: text.optional(),
});

export const codeSchema = z.strictObject({
  version: text,
  /** Absent outside a git checkout. */
  commit: text.optional(),
  dirty: z.boolean().optional(),
  /** Host and path of the repository's origin, where it is one that others may reach. */
  origin: text.optional(),
  /** Of the changes since the commit and the files that git does not know, where there are any. */
  diffSha256: hash.optional(),
  lockfileSha256: hash.optional(),
  /** The native addon: its bytes, and the compiler that it names. */
  addonSha256: hash.optional(),
  compiler: text.optional(),
});

export const softwareSchema = z.strictObject({
  node: text,
  os: text,
  distribution: text.optional(),
  libc: text.optional(),
  v8: text.optional(),
  locale: text.optional(),
  /** Variables of a fixed list that steer threads, devices and allocation; a value that may hold a path or a secret is only `set`. */
  environment: z.record(z.string(), text).optional(),
});

/** Of one start or one timing pass: how busy the machine was. */
export const loadSchema = z.strictObject({
  /** Mean number of processes that wanted to run in the last minute. */
  average: z.number().nonnegative(),
  availableMemoryBytes: count.optional(),
});
export type MachineLoad = z.infer<typeof loadSchema>;

/** What a device's own counters say; a value that they do not give is absent. */
export const deviceStateSchema = z.strictObject({
  smClockMhz: z.number().nonnegative().optional(),
  memoryClockMhz: z.number().nonnegative().optional(),
  temperatureCelsius: z.number().optional(),
  powerWatts: z.number().nonnegative().optional(),
});

/** Of a pass on a device. */
const deviceConditionsSchema = z.strictObject({
  /** GB/s read plus written by a copy on the device in this run: with the bytes of a decode step it gives the bandwidth floor. */
  copyGigabytesPerSecond: z.number().positive().optional(),
  /** Bytes of weights that every decode step reads. */
  weightBytesPerStep: count,
  before: deviceStateSchema.optional(),
  after: deviceStateSchema.optional(),
});
export type DeviceConditions = z.infer<typeof deviceConditionsSchema>;

/** How the times of a pass were taken. */
export const timingConditions = {
  device: deviceConditionsSchema.optional(),
  /** Before the first and after the last round. */
  load: z.strictObject({ before: loadSchema, after: loadSchema }).optional(),
  /** Rounds that warmed up and were not kept, rounds kept, tokens under the clock; every kept round runs each setting once. */
  protocol: z
    .strictObject({
      warmups: count,
      rounds: count,
      tokens: count,
      order: z.literal('interleaved'),
      /** Only the first setting ran in the rounds that warmed up. */
      warmUp: z.literal('first').optional(),
      /** Of a device: tokens that were decoded once, before the first pass of the process, so that the host's own code was compiled. */
      processWarmUpTokens: count.optional(),
    })
    .optional(),
};

/** Shape and storage of a model, beside its hash. */
export const modelFactsSchema = z.strictObject({
  format: z.enum(['gguf', 'safetensors', 'random']),
  architecture: text,
  parameters: count,
  /** Stored bytes of the tensors that are read. */
  weightBytes: count,
  /** Number of tensors by storage type. */
  tensorTypes: z.record(z.string(), count),
  numLayers: count,
  hiddenSize: count,
  ffnSize: count,
  numQueryHeads: count,
  numKvHeads: count,
  headDim: count,
  vocabSize: count,
  maxPositions: count,
  ropeTheta: z.number().positive(),
  ropeScaling: z.json(),
  chatTemplateSha256: hash.optional(),
});
export type ModelFactsRecord = z.infer<typeof modelFactsSchema>;
