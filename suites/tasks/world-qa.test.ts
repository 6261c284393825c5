import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (id: string, seed: number, params: object = {}, length = 2200) => {
  const task = findTask(id)!;
  const order = { params: task.parse(params), length, samples: 1, seed, meter: wordMeter(), maxNewTokens: 16 };
  return [...task.generate(order)][0]!;
};

const spans = (sample: ReturnType<typeof make>): string[] =>
  sample.evidence.map(({ start, end }) => sample.context.slice(start, end));

test('a chain needs as many sentences as hops, each in a document of its own', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(1000), (hops, seed) => {
      const sample = make(`world_${hops}_hop`, seed);
      assert.equal(sample.evidence.length, hops);
      const owners = sample.evidence.map(({ start }) =>
        sample.documents.findIndex((document) => document.start <= start && start < document.end),
      );
      assert.equal(new Set(owners).size, hops);
      assert.ok(owners.every((owner) => owner >= 0));
    }),
    { numRuns: 40 },
  );
});

test('following the evidence from the name in the question ends at the answer', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 4 }), fc.nat(1000), (hops, seed) => {
      const sample = make(`world_${hops}_hop`, seed);
      const titles = sample.evidence.map(({ start }) => {
        const owner = sample.documents.find((document) => document.start <= start && start < document.end)!;
        return /^Document \d+: (.*)$/m.exec(sample.context.slice(owner.start, owner.end))![1]!;
      });
      const sentences = spans(sample);
      // Start at the document named in the question; each sentence names the next document.
      let at = titles.findIndex((title) => sample.question.toLowerCase().includes(title.toLowerCase()));
      assert.ok(at >= 0, 'the question names one of the documents');
      const seen = new Set<number>();
      for (let hop = 1; hop < hops; hop++) {
        seen.add(at);
        const next = titles.findIndex(
          (title, i) => !seen.has(i) && sentences[at]!.toLowerCase().includes(title.toLowerCase()),
        );
        assert.ok(next >= 0, `${sentences[at]} names the next of ${titles.join(', ')}`);
        at = next;
      }
      assert.ok(sentences[at]!.includes(sample.references[0]!));
    }),
    { numRuns: 40 },
  );
});

test('a comparison is decided by the years of the evidence', () => {
  fc.assert(
    fc.property(fc.nat(1000), (seed) => {
      const sample = make('world_comparison', seed);
      const years = spans(sample).map((sentence) => Number(/\b1[89]\d\d\b/.exec(sentence)![0]));
      const earlier = sample.evidence[years[0]! < years[1]! ? 0 : 1]!;
      const owner = sample.documents.find(({ start, end }) => start <= earlier.start && earlier.start < end)!;
      assert.notEqual(years[0], years[1]);
      assert.ok(sample.context.slice(owner.start, owner.end).split('\n')[0]!.endsWith(sample.references[0]!));
    }),
    { numRuns: 40 },
  );
});

test('one person has both properties of an intersection, others have one of them', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.integer({ min: 1, max: 4 }), (seed, nearMisses) => {
      const sample = make('world_intersection', seed, { nearMisses });
      const [, town, employer] = /born in (\w+) and worked for (.*)\?/.exec(sample.question)!;
      const has = sample.documents.map(({ start, end }) => {
        const text = sample.context.slice(start, end);
        return [new RegExp(`\\b${town}\\b`).test(text), text.toLowerCase().includes(employer!.toLowerCase())] as const;
      });
      assert.equal(has.filter(([a, b]) => a && b).length, 1);
      assert.equal(has.filter(([a, b]) => a !== b).length, nearMisses);
    }),
    { numRuns: 30 },
  );
});

test('near misses add documents about namesakes', () => {
  const titles = (nearMisses: number): string[] =>
    [...make('world_1_hop', 4, { nearMisses }, 3000).context.matchAll(/^Document \d+: (.*)$/gm)].map(
      ([, title]) => title!,
    );
  const asked = /(?:The )?(\w+) (\w+)/;
  assert.ok(titles(6).length > 0 && asked.test(titles(6)[0]!));
  assert.throws(() => findTask('world_1_hop')!.parse({ nearMisses: 9 }), /nearMisses/);
});
