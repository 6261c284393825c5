import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quantilesInPlace } from './order-statistics.js';
import { quantileOfSorted } from './statistics.js';

test('quantiles of values in any order are those of the sorted values, ties and ends included', () => {
  const values = fc.oneof(
    fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 60 }),
    fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 400 }),
  );
  const share = fc.double({ min: -0.1, max: 1.1, noNaN: true });
  fc.assert(
    fc.property(values, share, share, (list, a, b) => {
      const sorted = Float64Array.from(list).sort();
      const given = Float64Array.from(list);
      const { low, high } = quantilesInPlace(given, { low: a, high: b });
      assert.ok(low === quantileOfSorted(sorted, a) && high === quantileOfSorted(sorted, b));
      assert.deepEqual(given.sort(), sorted, 'nothing is lost');
    }),
    { numRuns: 500 },
  );
});
