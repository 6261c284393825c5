import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sampling } from '../contract.js';
import { checkSampling, drawToken, keptTokens } from './sampling.js';

/** Probabilities of six tokens; logits are their logarithms plus a constant. */
const probabilities = [0.4, 0.05, 0.25, 0.02, 0.2, 0.08];
const logits = Float32Array.from(probabilities, (p) => Math.log(p) + 3);
const plain: Sampling = { temperature: 1, seed: 11 };

const frequencies = (sampling: Sampling, draws: number): number[] => {
  const counts = probabilities.map(() => 0);
  for (let step = 0; step < draws; step++) counts[drawToken(logits, sampling, 5, step)]!++;
  return counts.map((count) => count / draws);
};

/** Largest distance allowed between a frequency and its probability: five standard deviations. */
const assertClose = (seen: readonly number[], expected: readonly number[], draws: number): void => {
  seen.forEach((frequency, token) => {
    const p = expected[token]!;
    const bound = 5 * Math.sqrt((p * (1 - p)) / draws);
    assert.ok(Math.abs(frequency - p) <= bound, `token ${token}: ${frequency}, expected ${p} ± ${bound}`);
  });
};

const normalised = (weights: readonly number[]): number[] => {
  const total = weights.reduce((sum, w) => sum + w, 0);
  return weights.map((w) => w / total);
};

test('frequencies are the probabilities, sharpened or flattened by the temperature', () => {
  assertClose(frequencies(plain, 20_000), probabilities, 20_000);
  for (const temperature of [0.5, 2]) {
    const expected = normalised(probabilities.map((p) => p ** (1 / temperature)));
    assertClose(frequencies({ ...plain, temperature }, 20_000), expected, 20_000);
  }
});

test('top-k, top-p and min-p leave what their definition says, renormalised', () => {
  const keep = (tokens: readonly number[]) => normalised(probabilities.map((p, i) => (tokens.includes(i) ? p : 0)));
  assertClose(frequencies({ ...plain, topK: 2 }, 10_000), keep([0, 2]), 10_000);
  assert.deepEqual([...keptTokens(logits, { ...plain, topP: 0.64 }).ids], [0, 2]);
  assert.deepEqual([...keptTokens(logits, { ...plain, topP: 0.66 }).ids], [0, 2, 4]);
  assert.deepEqual([...keptTokens(logits, { ...plain, topP: 1e-9 }).ids], [0]);
  assert.deepEqual([...keptTokens(logits, { ...plain, minP: 0.19 }).ids], [0, 2, 4, 5]);
  assert.deepEqual([...keptTokens(logits, { ...plain, minP: 0.21 }).ids], [0, 2, 4]);
  // top-p counts the mass of what top-k left: 0.4 / 0.65 is already more than 0.6.
  assert.deepEqual([...keptTokens(logits, { ...plain, topK: 2, topP: 0.6 }).ids], [0]);
  assertClose(frequencies({ ...plain, topP: 0.66 }, 10_000), keep([0, 2, 4]), 10_000);
});

test('ties go to the lower id', () => {
  assert.deepEqual([...keptTokens(Float32Array.of(1, 2, 2, 2), { ...plain, topK: 2 }).ids], [1, 2]);
  assert.equal(drawToken(Float32Array.of(1, 2, 2), { ...plain, temperature: 0 }, 0, 0), 1);
});

test('a draw is named by seed, sample and step, and by nothing else', () => {
  const series = (sampling: Sampling, sampleSeed: number) =>
    Array.from({ length: 40 }, (_, step) => drawToken(logits, sampling, sampleSeed, step));
  assert.deepEqual(series(plain, 5), series(plain, 5));
  assert.notDeepEqual(series(plain, 5), series({ ...plain, seed: 12 }, 5));
  assert.notDeepEqual(series(plain, 5), series(plain, 6));
});

test('temperature 0 is greedy, and logits of -inf are never drawn', () => {
  assert.equal(drawToken(logits, { temperature: 0, seed: 1 }, 0, 9), 0);
  const holes = Float32Array.of(Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 0);
  for (let step = 0; step < 200; step++) assert.ok([1, 3].includes(drawToken(holes, plain, 0, step)));
});

test('numbers that mean nothing are refused by name', () => {
  for (const bad of [
    { temperature: -1 },
    { temperature: Number.NaN },
    { topK: 0 },
    { topP: 0 },
    { topP: 1.1 },
    { minP: 2 },
    { seed: 0.5 },
  ])
    assert.throws(() => checkSampling({ ...plain, ...bad }), { code: 'ERR_USAGE' });
  checkSampling({ ...plain, topK: 1, topP: 1, minP: 0 });
});
