import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SiteCell, SiteSetting } from './collect.js';
import { paretoFront } from './pareto-spec.js';
import { placeSettings } from './ranking.js';
import type { Setting } from './site-data.js';

type Made = SiteSetting & { readonly board: number };
const SAMPLES = 60;
const clusters = Array.from({ length: SAMPLES }, (_, i) => `task ${i}`);

const made = (name: string, scores: readonly number[], changes: Partial<Made> = {}, set = 'all'): Made => {
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  return {
    id: name,
    series: name,
    budget: '0.5',
    method: name,
    board: 0,
    protocol: 'query-agnostic',
    axis: 'residentBytes',
    control: false,
    simulated: false,
    standIn: false,
    scored: 1,
    planned: 1,
    score: mean,
    estimate: { mean, low: mean, high: mean },
    siteCells: [{ set: { id: set, clusters }, scores } as unknown as SiteCell],
    ...changes,
  } as unknown as Made;
};
/** The first `right` samples are right. */
const first = (right: number): number[] => Array.from({ length: SAMPLES }, (_, i) => (i < right ? 1 : 0));
const ranksOf = (settings: readonly Made[]): Record<string, string> => {
  const places = placeSettings(settings);
  return Object.fromEntries(
    settings.map((one) => {
      const { rank, tied, unranked } = places.get(one)!;
      return [one.series, rank === null ? unranked : `${tied ? '=' : ''}${rank}`];
    }),
  );
};

test('settings whose paired interval holds 0 share a rank, and the next one counts those that are better', () => {
  assert.deepEqual(ranksOf([made('c', first(20)), made('a', first(50)), made('b', first(49)), made('d', first(20))]), {
    a: '=1',
    b: '=1',
    c: '=3',
    d: '=3',
  });
});

test('a difference that is seen only because the samples are paired counts', () => {
  const base = first(30);
  const better = base.map((score, i) => (i >= 30 && i < 42 ? 1 : score));
  assert.deepEqual(ranksOf([made('base', base), made('better', better)]), { better: '1', base: '2' });
});

test('ties need not be shared by all: between two that differ stands one that is told from neither', () => {
  const [low, middle, high] = [first(30), first(33), first(36)];
  const ranks = ranksOf([made('low', low), made('middle', middle), made('high', high)]);
  assert.deepEqual(ranks, { high: '=1', middle: '=1', low: '2' });
});

test('rankings are apart by board, protocol, axis and budget', () => {
  const others: Partial<Made>[] = [
    {},
    { board: 1 },
    { protocol: 'query-aware' },
    { axis: 'bytesRead' },
    { budget: '0.25' },
  ];
  const ranks = ranksOf(others.map((changes, i) => made(`s${i}`, first(10 * (i + 1)), changes)));
  assert.ok(
    Object.values(ranks).every((rank) => rank === '1'),
    JSON.stringify(ranks),
  );
});

test('controls, simulated settings, stand-ins, incomplete ones and those with other samples are not ranked, and say why', () => {
  const ranks = ranksOf([
    made('a', first(50)),
    made('b', first(10)),
    made('oracle', first(60), { control: true }),
    made('masked', first(60), { simulated: true }),
    made('stand-in', first(60), { standIn: true }),
    made('half', first(60), { planned: 2 }),
    made('other', first(60), {}, 'others'),
  ]);
  assert.deepEqual(ranks, {
    a: '1',
    b: '2',
    oracle: 'control',
    masked: 'simulated',
    'stand-in': 'untrained stand-in',
    half: '1 of 2 cells without a score',
    other: 'other samples than the rest',
  });
});

test('the front is what no other setting beats on one axis without losing on the other', () => {
  const point = fc.record({ x: fc.integer({ min: 1, max: 8 }), y: fc.integer({ min: 1, max: 8 }) });
  fc.assert(
    fc.property(fc.array(point, { maxLength: 30 }), (points) => {
      const settings = points.map(
        ({ x, y }, i) => ({ id: String(i), kvCacheBytes: x, score: y }) as unknown as Setting,
      );
      const naive = settings.filter(
        (one) =>
          !settings.some(
            (other) =>
              other.kvCacheBytes! <= one.kvCacheBytes! &&
              other.score! >= one.score! &&
              (other.kvCacheBytes! < one.kvCacheBytes! || other.score! > one.score!),
          ),
      );
      const front = paretoFront(settings, { x: 'kvCacheBytes', y: 'score' });
      assert.deepEqual(new Set(front.map(({ id }) => id)), new Set(naive.map(({ id }) => id)));
      assert.ok(front.every((one, i) => i === 0 || front[i - 1]!.kvCacheBytes! <= one.kvCacheBytes!));
    }),
  );
});
