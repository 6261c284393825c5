import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WinnowError } from '../../core/errors.js';
import { type Addon, loadAddon } from '../index.js';
import { filledCache, noise, tensorOf } from './tensors.js';

const shape = { numKvHeads: 2, headDim: 16, layers: 2 };

/** A stream of choices that can be repeated by its seed. */
const chooser = (seed: number) => {
  let at = 0;
  const numbers = noise(seed, 1 << 16);
  const next = () => (numbers[at++ % numbers.length]! + 1) / 2;
  return { next, pick: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]! };
};

const names = [
  'cacheKeep',
  'cacheDropLast',
  'cacheAppend',
  'cacheQuantise',
  'cacheRead',
  'cachePositions',
  'cacheReadBytes',
  'cacheFork',
  'cacheLens',
  'cacheHash',
  'cacheLayout',
  'cacheCreate',
  'ropeAppend',
  'attendPrefill',
  'attendDecode',
  'mergeLse',
  'windowScores',
  'slotNorms',
  'blockSummary',
  'blockScores',
  'randomScores',
  'topK',
  'axpby',
  'reduceHeads',
  'quantiseRoundTrip',
  'cacheMerge',
  'cacheRotate',
  'cacheKeepChannels',
  'channelScores',
  'planeScores',
  'projectSlots',
  'projectQueries',
  'pairwiseCosine',
  'kMeans',
  'groupMeans',
  'softmaxLists',
  'entropyLists',
  'argmaxLists',
  'topP',
  'takeLists',
  'complementLists',
  'maskLists',
  'readEntries',
  'writeEntries',
  'addToRows',
] as const satisfies readonly (keyof Addon)[];

test('no argument, however wrong, does more than throw a WinnowError', { timeout: 60_000 }, () => {
  const addon = loadAddon();
  const act = addon.configure(addon.cpuFacts().isas[0]!, 'native', 2);
  const { next, pick } = chooser(5);
  const refused: Record<string, number> = {};
  let calls = 0;
  for (let round = 0; round < 60; round++) {
    const scope = addon.openScope();
    const caches = [
      filledCache(addon, shape, 1 + Math.floor(next() * 150), round),
      filledCache(addon, shape, 70, round + 1),
    ];
    const shapes = [
      [1],
      [2],
      [2, 3],
      [2, 64],
      [1, 64],
      [3, 64],
      [2, 2],
      [1, 2, 64],
      [2, 2, 5],
      [1, 1, 5],
      [2, 3, 16],
      [2, 2, 1, 2, 16],
    ];
    const tensors = shapes.flatMap((dims) => {
      const size = dims.reduce((a, b) => a * b, 1);
      const whole = Int32Array.from({ length: size }, (_, i) =>
        next() < 0.8 ? i % 5 : Math.floor(next() * 400) - 200,
      );
      return [
        tensorOf(addon, 'f32', dims, noise(round, size)),
        tensorOf(addon, 'i32', dims, whole),
        tensorOf(addon, act, dims, noise(round, size)),
      ];
    });
    const ids = () => (next() < 0.8 ? Int32Array.from(next() < 0.5 ? caches : [caches[0]!]) : Int32Array.of(0, -1, 7));
    const argument = (): unknown => {
      const kind = next();
      if (kind < 0.3) return pick(tensors);
      if (kind < 0.5) return pick(caches);
      if (kind < 0.65) return ids();
      if (kind < 0.9) return pick([0, 1, 1, 2, 3, 4, 16, 64, 0.5]);
      return pick([
        -1,
        2 ** 31,
        2 ** 53,
        1e300,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        undefined,
        null,
        'x',
        {},
        [],
        new Float32Array(2),
      ]);
    };
    for (let i = 0; i < 150; i++) {
      const name = pick(names);
      // Most calls get arguments of the right kind, so that the checks behind the first one are reached too.
      const head: Partial<Record<keyof Addon, () => unknown[]>> = {
        attendPrefill: () => [pick(tensors), pick(caches), pick([0, 1]), 0.3],
        attendDecode: () => [
          pick(tensors),
          ids(),
          pick([0, 1]),
          pick([1, 1, 2]),
          0.3,
          pick([0, 3]),
          pick([0, 9]),
          pick([0, 1, 2, 3]),
        ],
        windowScores: () => [pick(tensors), ids(), pick([0, 1]), 0.3, pick([0, 3]), pick([0, 9])],
        randomScores: () => [pick([0, 1, 2, -1]), pick([1, 2, 0.5]), pick([0, 5, 2 ** 40])],
        cacheKeep: () => [pick(caches), pick([0, 1])],
        cacheMerge: () => [pick(caches), pick([0, 1]), pick(tensors), pick(tensors), pick(tensors), pick(tensors)],
        cacheRotate: () => [pick(caches), pick([0, 1]), pick(tensors), pick(tensors), pick(tensors), pick(tensors)],
        cacheKeepChannels: () => [pick(caches), pick([0, 1]), pick([0, 64, 200]), pick(tensors), pick(tensors)],
        channelScores: () => [pick(tensors), ids(), pick([0, 1]), pick(tensors), pick(tensors)],
        projectSlots: () => [ids(), pick([0, 1]), pick([0, 1]), pick(tensors), pick([0, 1, 300])],
        pairwiseCosine: () => [ids(), pick([0, 1]), 0, ...Array.from({ length: 4 }, () => pick(tensors))],
        kMeans: () => [ids(), pick([0, 1]), 0, pick([1, 3, 500]), pick([0, 2])],
        groupMeans: () => [ids(), pick([0, 1]), 0, pick(tensors), pick([1, 5])],
        topP: () => [pick(tensors), pick([0, 0.5, 1, 2])],
        takeLists: () => [pick(tensors), pick(tensors)],
        complementLists: () => [pick(tensors), pick(tensors), Int32Array.of(3, 9, 1, 0)],
        readEntries: () => [pick(tensors), Int32Array.of(1, 2, 1, 0)],
        writeEntries: () => [pick(tensors), pick(tensors), Int32Array.of(1, 2, 1, 0)],
        blockSummary: () => [ids(), pick([0, 1]), pick([1, 16]), pick([0, 1, 9]), pick([0, 0, ...tensors])],
      };
      // Sizes of randomScores are never left to chance: a valid giant would be made.
      const first = name === 'randomScores' || next() < 0.8 ? (head[name]?.() ?? []) : [];
      const call = addon[name] as (...values: unknown[]) => unknown;
      calls++;
      try {
        call(...first, ...Array.from({ length: 14 - first.length }, argument));
      } catch (error) {
        assert.ok(error instanceof WinnowError, `${name}: ${String(error)}`);
        assert.match(error.code, /^ERR_(SHAPE|OUT_OF_MEMORY)$/, error.message);
        refused[name] = (refused[name] ?? 0) + 1;
      }
    }
    for (const cache of caches) addon.cacheFree(cache);
    addon.closeScope(scope);
  }
  const total = Object.values(refused).reduce((a, b) => a + b, 0);
  assert.ok(total > calls / 4 && total < calls, `${total} of ${calls} calls were refused`);
});
