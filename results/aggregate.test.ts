import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBootstrap } from '../core/statistics-bootstrap.js';
import { aggregateCell, pairedDifference, pairedDifferences } from './aggregate.js';
import { syntheticCells, syntheticSample, tinyShape } from './fixtures/synthetic-run.js';
import type { SampleRecord, ScoredSample } from './schema.js';

const bootstrap = createBootstrap({ seed: 1, draws: 2_000 });
const cell = syntheticCells(tinyShape)[0]!;
const scored = (index: number, changes: Partial<ScoredSample> = {}): ScoredSample => ({
  ...(syntheticSample(cell, index) as ScoredSample),
  ...changes,
});
const failed = (index: number, status: 'failed' | 'unsupported' | 'out-of-memory', message: string): SampleRecord => ({
  sampleId: `s${index}`,
  index,
  status,
  error: { code: 'ERR_X', message },
});

test('counted quantities are means over the samples, without rounding noise', () => {
  const samples = [0.1, 0.2, 0.3].map((density, index) =>
    scored(index, { density, kvCacheBytes: 100 + index, score: 1 }),
  );
  const { status, n, aggregates } = aggregateCell(samples, bootstrap);
  assert.deepEqual(
    [status, n, aggregates?.density, aggregates?.kvCacheBytes, aggregates?.score],
    ['ok', 3, 0.2, 101, 1],
  );
});

test('a quantity that no sample measured is absent, and one that some measured is their mean', () => {
  const { evidenceRecall: _, ...without } = scored(0);
  assert.equal('evidenceRecall' in aggregateCell([without], bootstrap).aggregates!, false);
  assert.equal(
    aggregateCell([without, scored(1, { evidenceRecall: 0.25 })], bootstrap).aggregates?.evidenceRecall,
    0.25,
  );
});

test('one failed sample makes the cell failed, with the first error and no aggregates', () => {
  const samples = [
    scored(0),
    failed(2, 'failed', 'second'),
    failed(1, 'failed', 'first'),
    failed(3, 'unsupported', 'other'),
  ];
  const { status, error, n, aggregates } = aggregateCell(samples, bootstrap);
  assert.deepEqual([status, n, aggregates], ['failed', 1, undefined]);
  assert.match(error!.message, /^first \(sample s1; 2 of 4 samples\)$/);
});

test('failed outranks out of memory, which outranks unsupported', () => {
  const worst = (...samples: SampleRecord[]): string => aggregateCell(samples, bootstrap).status;
  assert.equal(worst(failed(0, 'unsupported', 'u'), scored(1)), 'unsupported');
  assert.equal(worst(failed(0, 'unsupported', 'u'), failed(1, 'out-of-memory', 'm')), 'out-of-memory');
  assert.equal(worst(failed(0, 'out-of-memory', 'm'), failed(1, 'failed', 'f')), 'failed');
  assert.equal(worst(), 'failed');
});

test('the order of the samples does not matter', () => {
  const samples = Array.from({ length: 9 }, (_, index) => scored(index, { score: (index % 4) / 4 }));
  assert.deepEqual(aggregateCell([...samples].reverse(), bootstrap), aggregateCell(samples, bootstrap));
});

test('differences are paired by sample id and skip samples that one side lacks', () => {
  const ours = [
    scored(0, { sampleId: 'a', score: 1 }),
    scored(1, { sampleId: 'b', score: 0.5 }),
    scored(2, { sampleId: 'c', score: 1 }),
  ];
  const theirs = [
    scored(0, { sampleId: 'b', score: 1 }),
    scored(1, { sampleId: 'a', score: 0 }),
    failed(2, 'failed', 'x'),
  ];
  assert.deepEqual(pairedDifferences(ours, theirs), [1, -0.5]);
  assert.equal(pairedDifference(ours, theirs, bootstrap)?.mean, 0.25);
  assert.equal(pairedDifference(ours, [], bootstrap), undefined);
});

test('equal scores on every sample give a difference of 0 whose interval is not empty', () => {
  const samples = Array.from({ length: 20 }, (_, index) => scored(index, { sampleId: `s${index}`, score: index % 2 }));
  const { mean, low, high } = pairedDifference(samples, samples, bootstrap)!;
  assert.equal(mean, 0);
  assert.ok(low < -0.1 && high > 0.1);
});
