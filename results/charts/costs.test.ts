/** What the charts of costs compute, against closed forms and naive counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ModelFactsRecord } from '../provenance-schema.js';
import type { TimingRecord } from '../schema.js';
import type { CellSummary } from '../summary.js';
import { amdahlCaps } from './amdahl.js';
import { breakEven } from './break-even.js';
import { paretoFront } from './pareto.js';
import { speedUpsOf } from './speed-up.js';

const grid = fc.integer({ min: 0, max: 6 });

test('the front holds exactly the points that no other beats, cheapest first and rising in score', () => {
  assert.deepEqual(
    paretoFront([
      { cost: 0.5, score: 0.8 },
      { cost: 0.25, score: 0.6 },
      { cost: 0.5, score: 0.7 },
      { cost: 0.3, score: 0.6 },
      { cost: 1, score: 0.9 },
    ]),
    [
      { cost: 0.25, score: 0.6 },
      { cost: 0.5, score: 0.8 },
      { cost: 1, score: 0.9 },
    ],
  );
  fc.assert(
    fc.property(fc.array(fc.record({ cost: grid, score: grid }), { maxLength: 20 }), (points) => {
      const front = paretoFront(points);
      for (const point of points) {
        const isBeaten = front.some(
          ({ cost, score }) => cost <= point.cost && score >= point.score && (cost < point.cost || score > point.score),
        );
        assert.equal(front.includes(point), !isBeaten);
      }
      for (const [i, { cost, score }] of front.slice(1).entries())
        assert.ok(cost >= front[i]!.cost && score >= front[i]!.score);
    }),
  );
});

test('break-even is where the times of both answers are equal, found by walking token by token', () => {
  const times = fc.record({
    firstTokenMs: fc.integer({ min: 0, max: 40 }),
    msPerToken: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(times, times, (setting, dense) => {
      const found = breakEven(setting, dense);
      const from = found === undefined ? Number.POSITIVE_INFINITY : (found.from ?? 1);
      const until = found?.until ?? Number.POSITIVE_INFINITY;
      for (let tokens = 1; tokens <= 60; tokens++) {
        const difference =
          setting.firstTokenMs - dense.firstTokenMs + (tokens - 1) * (setting.msPerToken - dense.msPerToken);
        if (difference < 0) assert.ok(tokens >= from && tokens <= until, `${tokens} is ahead`);
        if (difference > 0) assert.ok(tokens < from || tokens > until, `${tokens} is behind`);
      }
    }),
  );
});

const model: ModelFactsRecord = {
  format: 'gguf',
  architecture: 'llama',
  parameters: 1,
  weightBytes: 1000,
  tensorTypes: {},
  numLayers: 2,
  hiddenSize: 6,
  ffnSize: 10,
  numQueryHeads: 3,
  numKvHeads: 1,
  headDim: 2,
  vocabSize: 11,
  maxPositions: 64,
  ropeTheta: 1e4,
  ropeScaling: { kind: 'none' },
};

test('caps are the work of everything over the work of everything but attention, counted product by product', () => {
  const tokens = 7;
  let [matrices, attention] = [0, 0];
  for (let layer = 0; layer < model.numLayers; layer++)
    for (let token = 0; token < tokens; token++) {
      const width = model.numQueryHeads * model.headDim;
      matrices += model.hiddenSize * width + 2 * model.hiddenSize * model.numKvHeads * model.headDim;
      matrices += width * model.hiddenSize + 3 * model.hiddenSize * model.ffnSize;
      for (let position = 0; position <= token; position++) attention += 2 * model.numQueryHeads * model.headDim;
    }
  const { prefill, decode } = amdahlCaps(model, { tokens, kvBytesRead: 250 })!;
  assert.ok(Math.abs(prefill - (matrices + attention) / matrices) < 1e-12);
  assert.equal(decode, 1.25);
  assert.equal(amdahlCaps({ ...model, architecture: 'gemma3' }, { tokens, kvBytesRead: 250 }), undefined);
});

test('speed-ups compare a round with dense of the same round, so that a slow round slows both', () => {
  const cellOf = (task: string, decode: readonly number[]): CellSummary => {
    const rounds = decode.map((decodeMsPerToken, repeat) => ({ repeat, decodeMsPerToken }) as TimingRecord);
    const facts = { taskName: task, contextLength: 1024, protocol: 'query-aware' };
    return { facts, times: { rounds } } as unknown as CellSummary;
  };
  const key = '["a",1024,"query-aware"]';
  const dense = new Map([[key, cellOf('a', [10, 100, 10])]]);
  const found = speedUpsOf([cellOf('a', [5, 50, 4])], dense, ({ decodeMsPerToken }) => decodeMsPerToken);
  assert.deepEqual(found, { middle: 2, low: 2, high: 2.5 });
  assert.equal(
    speedUpsOf([cellOf('b', [1])], dense, ({ decodeMsPerToken }) => decodeMsPerToken),
    undefined,
  );
});
