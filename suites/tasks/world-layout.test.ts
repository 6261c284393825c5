import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (id: string, seed: number, params: object = {}, index = 0) => {
  const task = findTask(id)!;
  const order = {
    params: task.parse(params),
    length: 3000,
    samples: index + 1,
    first: index,
    seed,
    meter: wordMeter(),
  };
  return [...task.generate({ ...order, maxNewTokens: 16 })][0]!;
};
type Made = ReturnType<typeof make>;

const titlesOf = ({ context, documents }: Made): string[] =>
  documents.map(({ start, end }) => /^Document \d+: (.*)$/m.exec(context.slice(start, end))![1]!);

/** Numbers of the needed documents as the reasoning takes them: from the name in the question on, by the names in the evidence. */
const chainOf = (sample: Made): number[] => {
  const titles = titlesOf(sample);
  const needed = sample.evidence.map(({ start, end }) => ({
    number: sample.documents.findIndex((document) => document.start <= start && start < document.end),
    sentence: sample.context.slice(start, end).toLowerCase(),
  }));
  const chain: number[] = [];
  let from = sample.question.toLowerCase();
  while (chain.length < needed.length) {
    const next = needed.find(({ number }) => !chain.includes(number) && from.includes(titles[number]!.toLowerCase()))!;
    chain.push(next.number);
    from = next.sentence;
  }
  return chain;
};

const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const hops = fc.integer({ min: 2, max: 4 });
const runs = { numRuns: 40 };

test('documents are named as the text names them', () => {
  fc.assert(
    fc.property(hops, fc.nat(1000), (count, seed) => {
      const { context, documents, documentIds } = make(`world_${count}_hop`, seed);
      assert.equal(documentIds?.length, documents.length);
      documents.forEach(({ start }, i) => {
        assert.ok(context.startsWith(`${documentIds![i]}: `, start));
      });
    }),
    runs,
  );
});

test('needed documents follow the reasoning forward, backward, or in any order', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(hops, fc.nat(1000), (count, seed) => {
      const chain = (order: string): number[] => chainOf(make(`world_${count}_hop`, seed, { order }));
      assert.deepEqual(chain('forward'), ascending(chain('forward')));
      assert.deepEqual(chain('backward'), ascending(chain('backward')).reverse());
      if (count === 3)
        seen.add(
          ascending(chain('random'))
            .map((number) => chain('random').indexOf(number))
            .join(''),
        );
    }),
    { numRuns: 60 },
  );
  assert.ok(seen.size >= 3, [...seen].join(', '));
});

test('spread documents stand at equal distances from the first place to the last', () => {
  fc.assert(
    fc.property(hops, fc.nat(1000), (count, seed) => {
      const sample = make(`world_${count}_hop`, seed, { order: 'spread' });
      const chain = chainOf(sample);
      assert.deepEqual([chain[0], chain.at(-1)], [0, sample.documents.length - 1]);
      const gaps = chain.slice(1).map((number, i) => number - chain[i]!);
      assert.ok(Math.max(...gaps) - Math.min(...gaps) <= 1, gaps.join(', '));
    }),
    runs,
  );
});

test('a gold depth stands the needed documents together, with a gap between neighbours, after that share of the others', () => {
  const depths = fc.constantFrom(0, 0.25, 0.5, 1);
  fc.assert(
    fc.property(hops, fc.nat(1000), depths, fc.integer({ min: 0, max: 2 }), (count, seed, goldDepth, gap) => {
      const sample = make(`world_${count}_hop`, seed, { goldDepth, gap });
      const [first = 0, ...later] = ascending(chainOf(sample));
      assert.deepEqual(
        later,
        later.map((_, i) => first + (i + 1) * (gap + 1)),
      );
      assert.equal(first, Math.round(goldDepth * (sample.documents.length - count - gap * (count - 1))));
      assert.equal(sample.meta.depth, goldDepth);
    }),
    runs,
  );
});

test('a sweep takes the depths in turn', () => {
  const at = (index: number) => make('world_1_hop', 1, { goldDepth: 'sweep' }, index).meta.depth;
  assert.deepEqual([0, 1, 5, 10, 11].map(at), [0, 0.1, 0.5, 1, 0]);
});

test('the regimes show nothing, what is needed, its near misses too, or all that the length holds', () => {
  fc.assert(
    fc.property(hops, fc.nat(1000), (count, seed) => {
      const of = (context: string): Made => make(`world_${count}_hop`, seed, { context, nearMisses: 2 });
      const [none, gold, related, full] = ['question-only', 'gold', 'gold-and-related', 'full'].map(of) as [
        Made,
        Made,
        Made,
        Made,
      ];
      assert.deepEqual([none.documents.length, gold.documents.length, related.documents.length], [0, count, 3 * count]);
      assert.ok(full.documents.length > related.documents.length);
      assert.deepEqual([none.evidence.length, gold.evidence.length, related.evidence.length], [0, count, count]);
      const sentences = (sample: Made): string[] =>
        sample.evidence.map(({ start, end }) => sample.context.slice(start, end)).sort();
      assert.deepEqual(sentences(gold), sentences(full));
      for (const one of [none, gold, related])
        assert.deepEqual([one.question, one.references], [full.question, full.references]);
      for (const title of titlesOf(related)) assert.ok(titlesOf(full).includes(title));
    }),
    runs,
  );
});

test('documents that are needed must fit', () => {
  const task = findTask('world_4_hop')!;
  const order = { params: task.parse({ nearMisses: 20 }), length: 1000, samples: 1, seed: 0, meter: wordMeter() };
  assert.throws(() => [...task.generate(order)], /ERR_SUITE.*world_4_hop: expected a length of at least \d+ tokens/);
});
