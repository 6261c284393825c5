/** What the gate finds and how often it cries wolf, on invented results with a known truth. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, type Random } from '../../core/random.js';
import type { PairedSample } from '../compare/pairing.js';
import { syntheticCells, syntheticSample, tinyShape } from '../fixtures/synthetic-run.js';
import type { CellFacts, ScoredSample } from '../schema.js';
import { policySchema } from './policy.js';
import { checkQuality, type PairedCell } from './quality-check.js';
import { judgeTimes, type TimedSeries } from './time-check.js';

const policy = policySchema.parse({ version: 1, time: {} });
/** Fewer bootstrap draws than a run: the interval only decides between pass and inconclusive. */
const statistics = { statistics: { interval: 'BCa bootstrap', level: 0.95, draws: 50, seed: 1 } } as const;
const facts = syntheticCells(tinyShape)[2]!;
const scored = syntheticSample(facts, 0) as ScoredSample;

/** Pairs of right-or-wrong answers in which a share becomes worse and another better. */
const pairsOf = (random: Random, n: number, worse: number, better: number): PairedSample[] =>
  Array.from({ length: n }, (_, i) => {
    const draw = random.float();
    const [before, after] = draw < worse ? [1, 0] : draw < worse + better ? [0, 1] : [1, 1];
    return {
      cluster: `s${i}`,
      ours: { ...scored, score: after, prediction: `${after}` },
      theirs: { ...scored, score: before, prediction: `${before}` },
    };
  });
const cellOf = (i: number, pairs: PairedSample[]): PairedCell => {
  const cell: CellFacts = { ...facts, cellId: `c${i}`, method: { id: `m${i}`, params: {} } };
  return { cell, pairs };
};

test('a drop of 5 points over 200 paired samples with 6 % discordant is caught in at least 85 % of 1000 draws', () => {
  const random = createRandom(1, 'drop');
  let caught = 0;
  for (let draw = 0; draw < 1_000; draw++) {
    const [row] = checkQuality([cellOf(0, pairsOf(random, 200, 0.055, 0.005))], policy, statistics);
    if (row!.verdict === 'regression') caught++;
  }
  assert.ok(caught >= 850, `${caught} of 1000`);
});

test('without a change the chance of any alarm over 12 settings is at most alpha', () => {
  const random = createRandom(2, 'nothing');
  const repeats = 600;
  let alarms = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const cells = Array.from({ length: 12 }, (_, i) => cellOf(i, pairsOf(random, 100, 0.05, 0.05)));
    if (checkQuality(cells, policy, statistics).some(({ verdict }) => verdict === 'regression')) alarms++;
  }
  // Two standard errors above 0.05 would still be chance.
  assert.ok(alarms / repeats <= 0.05 + 2 * Math.sqrt((0.05 * 0.95) / repeats), `${alarms} of ${repeats}`);
});

const gaussian = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());

/** Passes in turns on a machine that wanders (shared by neighbours), with 3 % noise of each pass and now and then a disturbed one. */
const seriesOf = (random: Random, rows: number, passes: number, slow: (row: number) => number): TimedSeries[] => {
  let drift = 0;
  const wander = Array.from({ length: 2 * passes }, () => (drift += 0.01 * gaussian(random)));
  return Array.from({ length: rows }, (_, row): TimedSeries => {
    const at = (turn: number): number =>
      20 * Math.exp(wander[turn]! + 0.03 * gaussian(random)) * (random.float() < 0.03 ? 1.4 : 1);
    return {
      place: { setting: `s${row}`, method: `m${row}` },
      quantity: 'decodeMsPerToken',
      baseline: Array.from({ length: passes }, (_, i) => at(2 * i)),
      candidate: Array.from({ length: passes }, (_, i) => at(2 * i + 1) * slow(row)),
    };
  });
};

test('one setting of six that is 10 % slower is caught in at least 90 % of sessions of 15 passes a side', () => {
  const random = createRandom(3, 'slow');
  let caught = 0;
  const sessions = 400;
  for (let session = 0; session < sessions; session++) {
    const rows = judgeTimes(
      seriesOf(random, 6, 15, (row) => (row === 2 ? 1.1 : 1)),
      policy.time!,
    );
    if (rows[2]!.verdict === 'regression') caught++;
  }
  assert.ok(caught >= 0.9 * sessions, `${caught} of ${sessions}`);
});

test('the same code twice raises a time alarm over six settings in at most alpha of sessions', () => {
  const random = createRandom(4, 'same');
  const sessions = 400;
  let alarms = 0;
  for (let session = 0; session < sessions; session++)
    if (
      judgeTimes(
        seriesOf(random, 6, 15, () => 1),
        policy.time!,
      ).some(({ verdict }) => verdict === 'regression')
    )
      alarms++;
  assert.ok(alarms / sessions <= 0.05, `${alarms} of ${sessions}`);
});
