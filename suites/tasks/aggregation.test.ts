/** Word lists and frequencies: cwe and fwe. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cwe } from './cwe.js';
import { fwe } from './fwe.js';
import { wordMeter } from './word-meter.js';
import { zeta } from './zeta.js';

const counted = (words: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
};

const order = (length: number, seed: number) => ({ length, samples: 1, seed, meter: wordMeter(), maxNewTokens: 24 });

test('cwe: the answers stand as often as they should and everything else less often', () => {
  fc.assert(
    fc.property(fc.integer({ min: 900, max: 6000 }), fc.nat(1000), (length, seed) => {
      const [sample] = [...cwe.generate({ params: cwe.defaults, ...order(length, seed) })];
      const list = sample!.context.slice(sample!.context.lastIndexOf(' 1. ') + 1);
      const lines = sample!.context.split('\n').filter((line) => line.startsWith('1. '));
      const words = lines.at(-1)!.match(/[a-z-]+/g)!;
      const counts = counted(words);
      const [common, other] = length >= 4096 ? [30, 3] : [6, 1];
      for (const [word, count] of counts) assert.equal(count, sample!.references.includes(word) ? common : other, word);
      assert.ok(sample!.references.every((word) => counts.has(word)));
      assert.ok(counts.size > sample!.references.length + 10, list);
      // The numbers run from 1 to the end without a gap.
      assert.deepEqual(
        lines.at(-1)!.match(/\d+/g)!.map(Number),
        words.map((_, i) => i + 1),
      );
    }),
    { numRuns: 12 },
  );
});

test('cwe: no word of the solved example stands in the list', () => {
  const [sample] = [...cwe.generate({ params: cwe.defaults, ...order(4096, 1) })];
  const [example, list] = sample!.context.split('\n').filter((line) => line.startsWith('1. '));
  const inList = new Set(list!.match(/[a-z-]+/g));
  assert.deepEqual(
    example!.match(/[a-z-]+/g)!.filter((word) => inList.has(word)),
    [],
  );
});

test('cwe: a list longer than the plain words goes on with pairs of words', () => {
  const [sample] = [...cwe.generate({ params: cwe.parse({ otherRepeats: 1 }), ...order(16_384, 1) })];
  assert.match(sample!.context, /\d\. [a-z]+-[a-z]+ /);
});

test('cwe: the answers come in another place for every sample', () => {
  const samples = [...cwe.generate({ params: cwe.defaults, ...order(2000, 1), samples: 6 })];
  assert.equal(new Set(samples.map(({ evidence: [first] }) => first!.start)).size, 6);
});

test('fwe: frequencies fall as the power law says, dots first, then the answers', () => {
  fc.assert(
    fc.property(fc.integer({ min: 900, max: 6000 }), fc.nat(1000), (length, seed) => {
      const [sample] = [...fwe.generate({ params: fwe.defaults, ...order(length, seed) })];
      const words = sample!.context.split('\n').at(-1)!.split(' ');
      const counts = [...counted(words)].sort(([, a], [, b]) => b - a);
      const total = sample!.meta.haystackUnits as number;
      assert.equal(counts[0]![0], '...');
      assert.deepEqual(new Set(counts.slice(1, 4).map(([word]) => word)), new Set(sample!.references));
      counts.slice(0, 8).forEach(([, count], i) => {
        assert.equal(count, Math.floor(total / ((i + 1) ** 2 * (Math.PI ** 2 / 6))));
      });
      assert.ok(counts[3]![1] > counts[4]![1], 'the third answer is more frequent than the next word');
    }),
    { numRuns: 12 },
  );
});

test('fwe: at any power and length the answers are the most frequent words, or the length is refused', () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.integer({ min: 150, max: 1500 }), fc.double({ min: 1.1, max: 5, noNaN: true }), (length, alpha) => {
      const run = () => [...fwe.generate({ params: fwe.parse({ alpha }), ...order(length, 1) })][0]!;
      try {
        const { context, references } = run();
        const counts = counted(context.split('\n').at(-1)!.split(' '));
        counts.delete('...');
        const least = Math.min(...references.map((word) => counts.get(word) ?? 0));
        for (const [word, count] of counts) assert.ok(references.includes(word) || count < least, word);
        assert.ok(least > 0);
      } catch (error) {
        if ((error as Error).name !== 'WinnowError') throw error;
        assert.match((error as Error).message, /\[ERR_SUITE\] fwe: expected a length for \d+ words/);
        refused++;
      }
    }),
    { numRuns: 60, seed: 1 },
  );
  assert.ok(refused > 5 && refused < 55, `${refused} of 60 are refused`);
});

test('cwe: other words never stand as often as the common ones', () => {
  for (const repeats of [
    { commonRepeats: 3 },
    { commonRepeats: 2, otherRepeats: 5 },
    { otherRepeats: 6, sampling: 'upstream', commonRepeats: 6 },
  ])
    assert.throws(
      () => [...cwe.generate({ params: cwe.parse(repeats), ...order(4096, 1) })],
      /ERR_SUITE\] cwe otherRepeats: expected fewer than commonRepeats, \d+/,
    );
});

test('zeta at even numbers is known', () => {
  assert.ok(Math.abs(zeta(2) - Math.PI ** 2 / 6) < 1e-12);
  assert.ok(Math.abs(zeta(4) - Math.PI ** 4 / 90) < 1e-12);
  assert.ok(Math.abs(zeta(1.5) - 2.612375348685488) < 1e-11);
});
