import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { ABSTENTION } from '../scorers/abstention.js';
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
      for (const [i, title] of titles.entries()) assert.ok(sentences[i]!.toLowerCase().includes(title.toLowerCase()));
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

const titlesOf = ({ context, documents }: ReturnType<typeof make>): string[] =>
  documents.map(({ start, end }) => /^Document \d+: (.*)$/m.exec(context.slice(start, end))![1]!);

/** Words of a title that names are told apart by. */
const nameParts = (title: string): string[] => title.replace(/^The /, '').split(' ');

test('near misses are documents about namesakes: as many as asked for, for each document that is needed', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.integer({ min: 0, max: 6 }), (seed, nearMisses) => {
      const params = { nearMisses, context: 'gold-and-related' };
      const sample = make('world_comparison', seed, params, 4000);
      assert.equal(sample.documents.length, 2 + 2 * nearMisses);
      const [a, b] = sample.classes!;
      for (const title of titlesOf(sample)) {
        const parts = nameParts(title);
        assert.ok(
          [a!, b!].some((name) => name.split(' ').some((part) => parts.includes(part))),
          `${title}: ${a}, ${b}`,
        );
      }
    }),
    { numRuns: 40 },
  );
  assert.throws(() => findTask('world_1_hop')!.parse({ nearMisses: 65 }), /nearMisses/);
});

test('similarity is the share of sentences in common with the document that is needed', () => {
  const shared = (similarity: number): number => {
    let common = 0;
    let all = 0;
    for (let seed = 0; seed < 40; seed++) {
      const sample = make('world_1_hop', seed, { similarity, context: 'gold-and-related' });
      const titles = titlesOf(sample);
      const masked = sample.documents.map(({ start, end }) => {
        const body = sample.context.slice(start, end).split('\n').slice(1).join(' ');
        return body
          .split(/(?<=\.)\s+/)
          .filter((sentence) => sentence !== '')
          .map((sentence) => titles.reduce((text, title) => text.replaceAll(nameParts(title).at(-1)!, '@'), sentence))
          .map((sentence) =>
            sentence.replace(/^The /, 'the ').replace(/(?:the )?(?:[A-Z][\w.]* )*@|the \w+( \w+)?|[A-Z]\w+/g, '@'),
          );
      });
      common += masked[0]!.filter((sentence) => masked[1]!.includes(sentence)).length;
      all += masked[0]!.length;
    }
    return common / all;
  };
  const [none, half, full] = [shared(0), shared(0.5), shared(1)];
  assert.ok(none < 0.3 && half > none + 0.15 && full > 0.7, `${none}, ${half}, ${full}`);
});

test('no near miss answers the question, however similar', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.nat(1000),
      fc.float({ min: 0, max: 1, noNaN: true }),
      (hops, seed, share) => {
        const sample = make(`world_${hops}_hop`, seed, { nearMisses: 3, similarity: share }, 5000);
        const answer = sample.references[0]!;
        const at = [...sample.context.matchAll(new RegExp(answer.replaceAll('.', '\\.'), 'g'))].map(
          ({ index }) => index,
        );
        assert.equal(at.length, 1);
        assert.ok(sample.evidence.some(({ start, end }) => start <= at[0]! && at[0]! < end));
      },
    ),
    { numRuns: 60 },
  );
});

test('an unanswerable question lacks a document or a sentence; what would answer it stands nowhere', () => {
  const lacks = new Set<unknown>();
  fc.assert(
    fc.property(fc.nat(2000), (seed) => {
      const answered = make('world_1_hop', seed);
      const sample = make('world_1_hop', seed, { answerable: 0 });
      assert.equal(sample.question, answered.question);
      assert.deepEqual([sample.references, sample.meta.answerable], [[ABSTENTION], false]);
      // The one sentence that could be taken for the answer, about a namesake.
      const needed = answered.evidence.map(({ start, end }) => answered.context.slice(start, end));
      assert.equal(spans(sample).length, 1);
      assert.ok(!needed.includes(spans(sample)[0]!));
      assert.ok(!sample.context.includes(answered.references[0]!));
      assert.ok(sample.context.includes(`If they do not say it, answer: ${ABSTENTION}.`));
      const asked = titlesOf(answered).find((title) => answered.question.toLowerCase().includes(title.toLowerCase()))!;
      assert.equal(titlesOf(sample).includes(asked), sample.meta.lacks === 'fact');
      lacks.add(sample.meta.lacks);
    }),
    { numRuns: 60 },
  );
  assert.deepEqual([...lacks].sort(), ['document', 'fact']);
});

test('a chain without one of its steps has no answer, and a share of 0.5 leaves about half of the questions one', () => {
  const answerable = Array.from({ length: 200 }, (_, seed) => {
    const { meta, references, evidence } = make('world_3_hop', seed, { answerable: 0.5 });
    assert.equal(references[0] === ABSTENTION, meta.answerable === false);
    // Two steps are left, and a near miss of the third.
    assert.equal(evidence.length, 3);
    return meta.answerable;
  });
  const share = answerable.filter(Boolean).length / answerable.length;
  assert.ok(share > 0.4 && share < 0.6, String(share));
});

test('a masked chain lacks its first or last document and keeps its answer', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.constantFrom('first', 'last'), (seed, masked) => {
      const whole = make('world_3_hop', seed);
      const sample = make('world_3_hop', seed, { masked });
      assert.deepEqual([sample.question, sample.references], [whole.question, whole.references]);
      assert.equal(sample.evidence.length, 2);
      assert.equal(sample.context.includes(sample.references[0]!), masked === 'first');
    }),
    { numRuns: 30 },
  );
});

test('the same seed tells the same samples on every machine', () => {
  const hash = createHash('sha256');
  for (const [id, params] of [
    ['world_1_hop', {}],
    ['world_4_hop', { nearMisses: 2, similarity: 0.5, order: 'backward', goldDepth: 0.3, gap: 1 }],
    ['world_comparison', { answerable: 0.5 }],
    ['world_intersection', { context: 'gold-and-related' }],
    ['world_abstention', {}],
  ] as const) {
    for (let seed = 0; seed < 10; seed++) hash.update(JSON.stringify(make(id, seed, params)));
  }
  assert.equal(hash.digest('hex'), '7a5b3284ffd645ab4ed3ffaa63e51c36f4eeab863eacd41b6292a109093e073d');
});
