/** What holds of every generated sample holds at any parameters that a task takes, not at its defaults alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { createRandom, type Random } from '../../core/random.js';
import type { Sample, Task } from '../contract.js';
import { scorerById } from '../scorers/index.js';
import { findTask, generatedTasks } from './index.js';
import { wordMeter } from './word-meter.js';

const ROUNDS = Number(process.env.PARAMETER_ROUNDS ?? 20);

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** A value that the schema takes, small where it has no upper end; undefined where it is about a file or data. */
const drawValue = (schema: Schema, random: Random): unknown => {
  if (schema.enum !== undefined) return random.pick(schema.enum);
  if (schema.const !== undefined) return schema.const;
  if (schema.anyOf !== undefined) return drawValue(random.pick(schema.anyOf), random);
  const { minimum = 1, maximum = minimum + 12 } = schema;
  switch (schema.type) {
    case 'boolean':
      return random.integer(0, 1) === 1;
    case 'integer':
      return random.integer(minimum, Math.min(maximum, minimum + 12));
    case 'number':
      return minimum + random.float() * (maximum - minimum);
    case 'array':
      return Array.from({ length: random.integer(schema.minItems ?? 1, 4) }, () => drawValue(schema.items!, random));
    default:
      return undefined;
  }
};

/** Where the text comes from is fixed, and upstream's sampling has its own test: it repeats upstream's faults. */
const fixed = new Set(['source', 'sampling']);

const drawParams = (task: Task, random: Random): Record<string, unknown> => {
  const { properties = {} } = z.toJSONSchema(task.parameters!, { io: 'input', unrepresentable: 'any' }) as Schema;
  const changed = Object.entries(properties).filter(([key]) => !fixed.has(key) && random.integer(0, 2) === 0);
  const drawn = changed.map(([key, schema]) => [key, drawValue(schema, random)] as const);
  return {
    ...('source' in properties ? { source: 'world' } : {}),
    ...Object.fromEntries(drawn.filter(([, value]) => value !== undefined)),
  };
};

/** Whether the evidence alone must hold the answer, word for word: elsewhere it is worked out, left out on purpose, or `no answer`. */
const isCopied = ({ id, family }: Task, params: Readonly<Record<string, unknown>>): boolean =>
  !['facts', 'long-generation', 'global', 'dialogue'].includes(family) &&
  !['grammar', 'world_comparison', 'world_intersection', 'world_abstention', 'key_facts', 'list_recall'].includes(id) &&
  ['answerable', 'masked'].every((key) => params[key] === undefined) &&
  params.context !== 'question-only';

const checkEvidence = ({ context, evidence, references }: Sample): void => {
  const inside = evidence.map(({ start, end }) => context.slice(start, end));
  const outside = evidence.reduceRight((text, { start, end }) => text.slice(0, start) + text.slice(end), context);
  for (const reference of references) {
    assert.ok(
      inside.some((text) => text.includes(reference)),
      `${reference} is not in the evidence`,
    );
    assert.ok(!outside.includes(reference), `${reference} stands outside of the evidence`);
  }
};

const checkSample = (task: Task, sample: Sample): void => {
  const { context, evidence, references, continuation } = sample;
  let last = 0;
  for (const { start, end } of evidence) {
    assert.ok(start >= last && end > start && end <= context.length, 'spans are in order, apart, and inside');
    last = end;
  }
  const { score } = scorerById(task.scorer);
  if (continuation === undefined) assert.equal(score('', sample), 0);
  if (continuation === undefined && task.family !== 'long-generation')
    assert.equal(score(references.join(', '), sample), 1, 'the references score');
};

const tasks = [...generatedTasks(), findTask('qa_1')!, findTask('qa_2')!];
for (const task of tasks) {
  test(`${task.id}: samples at drawn parameters are sound and the same each time, or refused with a reason`, () => {
    let made = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const random = createRandom(round, 'parameters', task.id);
      const params = drawParams(task, random);
      const order = { length: random.integer(1500, 3500), samples: 1, seed: round, meter: wordMeter() };
      const room = task.family === 'long-generation' ? {} : { maxNewTokens: 24 };
      const draw = (): Sample => [...task.generate({ params: task.parse(params), ...order, ...room })][0]!;
      try {
        const sample = draw();
        checkSample(task, sample);
        if (isCopied(task, params)) checkEvidence(sample);
        assert.deepEqual(draw(), sample);
        made++;
      } catch (error) {
        // Parameters that exclude one another, or need more room than there is.
        if (error instanceof WinnowError && error.code === 'ERR_SUITE') continue;
        throw new Error(`${JSON.stringify(params)}, round ${round}: ${(error as Error).message}`, { cause: error });
      }
    }
    assert.ok(made >= ROUNDS / 3, `${made} of ${ROUNDS} made a sample`);
  });
}
