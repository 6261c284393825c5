import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conforms } from '../conformance.js';
import { budgetOf, keptByMethod, layerShape, plantSample } from '../naive-views.js';
import { indicesFrom } from '../oracle-attention.js';
import { random } from './random.js';

conforms(random, { params: { sinkTokens: 2, recentTokens: 4 }, randomised: 'chooses at random, anew for each head' });

const params = { sinkTokens: 2, recentTokens: 5, seed: 0 };
const shapes = [layerShape(), layerShape()];

test('keeps sinks, recents and question, and as many tokens as the budget says', async () => {
  const kept = await keptByMethod(random, params, plantSample(1, shapes, 44, 40), [budgetOf(12, 40), budgetOf(20, 40)]);
  [12, 20].forEach((tokens, row) => {
    for (const slots of kept[row]!.flat()) {
      assert.equal(slots.length, tokens + 4);
      for (const always of [...indicesFrom(0, 2), ...indicesFrom(35, 44)]) assert.ok(slots.includes(always));
    }
  });
});

test('heads, layers, samples and seeds choose differently; the same facts choose the same', async () => {
  const chosen = async (seed: number, sampleSeed: number) =>
    JSON.stringify(
      (await keptByMethod(random, { ...params, seed }, plantSample(sampleSeed, shapes, 40), [budgetOf(20, 40)]))[0],
    );
  const first = await chosen(0, 1);
  assert.equal(await chosen(0, 1), first);
  assert.notEqual(await chosen(1, 1), first);
  assert.notEqual(await chosen(0, 2), first);
  const heads = (JSON.parse(first) as number[][][]).flat().map((slots) => slots.join());
  assert.equal(new Set(heads).size, heads.length);
});

test('a larger budget only adds tokens, and every token has the same chance', async () => {
  const counts = new Array<number>(40).fill(0);
  for (let sample = 0; sample < 100; sample++) {
    const [small, large] = await keptByMethod(random, params, plantSample(sample, [shapes[0]!], 40), [
      budgetOf(16, 40),
      budgetOf(24, 40),
    ]);
    small![0]!.forEach((slots, head) => {
      assert.ok(slots.every((slot) => large![0]![head]!.includes(slot)));
      for (const slot of slots) counts[slot]!++;
    });
  }
  // 200 lists draw 9 of 33 free tokens: mean 54.5 each, standard deviation 6.3; four of them on either side.
  for (const count of counts.slice(2, 35)) assert.ok(count > 29 && count < 80, `${count} draws`);
});
