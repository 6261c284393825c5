/**
 * `random:SHAPE` or `random:SHAPE@SEED`: a model of a published shape whose weights are drawn from a seed, the same on every machine and
 * backend. Its answers mean nothing; its time, memory and bytes are those of the real model in bf16.
 */
import { canonicalJson, sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import { nearestName } from '../core/nearest-name.js';
import { createRandom } from '../core/random.js';
import type { Checkpoint, CheckpointTensor } from './checkpoint.js';
import { type ExpectedTensor, expectedTensors } from './checkpoint-names.js';
import type { ModelConfig } from './config.js';
import { randomConfig, randomShapes } from './random-model-shapes.js';
import { toBfloat } from './tiny-model-quantise.js';

const PREFIX = 'random:';

/** Whether a model's reference, id or path names random weights. */
export const isRandomModel = (ref: string): boolean => ref.startsWith(PREFIX);

export interface RandomModel {
  readonly id: string;
  readonly config: ModelConfig;
  readonly seed: number;
  /** Of the configuration, the seed and the rule by which weights are drawn. */
  readonly sha256: string;
}

/** Throws: ERR_USAGE for a shape that is not listed or a seed that is no whole number below 2^32. */
export function randomModel(ref: string): RandomModel {
  const [shape = '', ...rest] = ref.slice(PREFIX.length).split('@');
  const config = randomConfig(shape);
  if (config === undefined) {
    const near = nearestName(shape, randomShapes);
    throw new WinnowError(
      'ERR_USAGE',
      `model ${ref}`,
      `one of ${randomShapes.map((name) => PREFIX + name).join(', ')}`,
      shape,
      near === undefined ? 'Choose a listed shape.' : `Did you mean ${PREFIX}${near}?`,
    );
  }
  const text = rest.length === 0 ? '0' : rest.join('@');
  const seed = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(seed < 2 ** 32))
    throw new WinnowError('ERR_USAGE', `model ${ref}`, 'a seed from 0 to 2^32 - 1 after @', text, 'Example: @7');
  const id = seed === 0 ? PREFIX + shape : `${PREFIX}${shape}@${seed}`;
  return { id, config, seed, sha256: sha256Hex(canonicalJson({ config, seed, rule: RULE })) };
}

/** Rises when the same shape and seed would give other weights. */
const RULE = 1;

/** Parameters of a configuration. */
export const parameterCount = (config: ModelConfig): number =>
  expectedTensors(config).reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);

/** Shapes beyond it are for devices alone, which draw the weights themselves: 8 GB of them, and minutes for a prompt. */
export const MOST_RANDOM_PARAMETERS_ON_HOST = 4e9;

/** A checkpoint whose tensors are made when they are read. */
export function randomCheckpoint(ref: string): Checkpoint {
  const { id, config, seed } = randomModel(ref);
  const normals = createNormals(seed);
  const tensors = new Map(expectedTensors(config).map((one) => [one.name, tensorOf(one, config, seed, normals)]));
  const drawnWith = (name: string): RandomDraw => ({
    seed: createRandom(seed, 'device', name).uint32(),
    deviation: deviationOf(name, tensors.get(name)!.shape, config),
  });
  const isForDevices = parameterCount(config) > MOST_RANDOM_PARAMETERS_ON_HOST;
  return { path: id, format: 'random', config, tensors, ...(isForDevices && { drawnWith }), close: () => undefined };
}

/** How a device draws a matrix (`randomWeight` of the native contract). */
export interface RandomDraw {
  readonly seed: number;
  readonly deviation: number;
}

const tensorOf = (
  { name, shape }: ExpectedTensor,
  config: ModelConfig,
  seed: number,
  normals: (deviation: number) => Uint16Array,
): CheckpointTensor => {
  const length = shape.reduce((product, size) => product * size, 1);
  const byteLength = 2 * length;
  return {
    name,
    type: 'BF16',
    shape,
    get bytes() {
      const values = /norm$/i.test(name)
        ? new Uint16Array(length).fill(toBfloat(1))
        : repeated(
            normals(deviationOf(name, shape, config)),
            createRandom(seed, 'start', name).integer(0, PERIOD - 1),
            length,
          );
      return new Uint8Array(values.buffer);
    },
    byteOffset: 0,
    byteLength,
    interleavedHeads: 0,
  };
};

/** Keeps hidden states and logits near unit size: what enters the residual stream is small by depth. */
const deviationOf = (name: string, shape: readonly number[], { numLayers }: ModelConfig): number => {
  if (name.endsWith('bias')) return 1 / 8;
  const branches = /attention\.output$|ffn\.down$/.test(name) ? 2 * numLayers : 1;
  return 1 / Math.sqrt(shape[1]! * branches);
};

/**
 * Draws repeat after so many weights, a prime: rows of a matrix start at different places of the cycle, so that no two are equal, and a
 * tensor costs a copy instead of a draw for every weight.
 */
const PERIOD = 1_048_573;

/** Normal values of a deviation, rounded to bf16. Sums of twelve uniforms: exact in a double, so the same on every machine. */
const createNormals = (seed: number): ((deviation: number) => Uint16Array) => {
  let unit: Float64Array | undefined;
  const made = new Map<number, Uint16Array>();
  return (deviation) => {
    unit ??= drawUnit(seed);
    const known = made.get(deviation) ?? Uint16Array.from(unit, (value) => toBfloat(value * deviation));
    made.set(deviation, known);
    return known;
  };
};

const drawUnit = (seed: number): Float64Array => {
  const random = createRandom(seed, 'random weights');
  const values = new Float64Array(PERIOD);
  for (let i = 0; i < PERIOD; i++) {
    let sum = 0;
    for (let draw = 0; draw < 6; draw++) {
      const two = random.uint32();
      sum += (two >>> 16) + (two & 0xffff) + 1;
    }
    values[i] = sum / 65_536 - 6;
  }
  return values;
};

/** `length` values of the cycle from `start` on. */
const repeated = (cycle: Uint16Array, start: number, length: number): Uint16Array => {
  const values = new Uint16Array(length);
  let from = start;
  for (let at = 0; at < length; from = 0) {
    const part = cycle.subarray(from, Math.min(cycle.length, from + length - at));
    values.set(part, at);
    at += part.length;
  }
  return values;
};
