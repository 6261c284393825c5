import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (id: string, seed: number, params: object = {}) => {
  const task = findTask(id)!;
  const order = { params: task.parse(params), length: 3500, samples: 1, seed, meter: wordMeter(), maxNewTokens: 32 };
  return [...task.generate(order)][0]!;
};
type Made = ReturnType<typeof make>;

interface Record {
  readonly name: string;
  readonly text: string;
  readonly number: number;
  readonly isMember: boolean;
}

/** What a reader finds: the documents that hold the value of the question, with the number that each gives. */
const readCorpus = (sample: Made): Record[] => {
  const trade = /whose trade was that of (an? \w+)/.exec(sample.question)?.[1];
  const value =
    trade ??
    /(?:born in|worked for|based in|lie on the|held in|organised by) ((?:the )?[A-Z]\w*(?: [A-Z]\w*)*)/.exec(
      sample.question,
    )![1]!;
  const isTowns = sample.question.includes('towns that');
  return sample.documents.map(({ start, end }) => {
    const [title, ...lines] = sample.context.slice(start, end).split('\n');
    const text = lines.join('\n');
    const number = /\d[\d,]*/g;
    const numbers = [...text.matchAll(number)].map(([found]) => found).filter((found) => !isTowns || /,\d/.test(found));
    return {
      name: title!.replace(/^Document \d+: (?:The )?/, ''),
      text,
      number: Number((numbers[0] ?? '0').replaceAll(',', '')),
      isMember: new RegExp(`\\b${value}\\b`, trade === undefined ? 'i' : '').test(text),
    };
  });
};
const membersOf = (sample: Made): Record[] =>
  readCorpus(sample)
    .filter(({ isMember }) => isMember)
    .sort((a, b) => a.number - b.number);

const seeds = [fc.nat(100_000), fc.integer({ min: 0, max: 2 })] as const;
const runs = { numRuns: 60 };

test('the documents that are counted are those that say it, and each has its title and a sentence with its name as evidence', () => {
  fc.assert(
    fc.property(...seeds, (seed, nearMisses) => {
      const sample = make('global_count', seed, { members: 5, nearMisses });
      const members = membersOf(sample);
      assert.deepEqual(sample.references, [String(members.length)]);
      assert.equal(sample.evidence.length, 2 * members.length);
      assert.deepEqual(new Set(sample.classes), new Set(members.map(({ name }) => name)));
      for (const { start, end } of sample.evidence) {
        const sentence = sample.context.slice(start, end);
        assert.ok(
          members.some(({ name }) => sentence.includes(name)),
          sentence,
        );
      }
    }),
    runs,
  );
});

test('extremes, orders and top k follow from the numbers of the documents', () => {
  fc.assert(
    fc.property(...seeds, (seed, nearMisses) => {
      const least = /first\?|fewest inhabitants\?/;
      const extreme = make('global_extremum', seed, { nearMisses });
      assert.deepEqual(extreme.references, [membersOf(extreme).at(least.test(extreme.question) ? 0 : -1)!.name]);

      const sorted = make('global_sort', seed, { nearMisses, members: 4 });
      const upwards = membersOf(sorted).map(({ name }) => name);
      assert.deepEqual(
        sorted.references,
        /the (?:earliest|smallest) first/.test(sorted.question) ? upwards : upwards.reverse(),
      );

      const top = make('global_top_k', seed, { nearMisses, members: 5, k: 3 });
      const all = membersOf(top).map(({ name }) => name);
      const isLeast = /(?:first|fewest inhabitants)\./.test(top.question);
      assert.deepEqual(top.references, isLeast ? all.slice(0, 3) : all.slice(2).reverse());
      for (const sample of [extreme, sorted, top]) {
        const numbers = membersOf(sample).map(({ number }) => number);
        assert.equal(new Set(numbers).size, numbers.length);
        const evidence = sample.evidence.map(({ start, end }) => sample.context.slice(start, end)).join('\n');
        for (const { name, number } of membersOf(sample)) {
          assert.ok(evidence.includes(name) && evidence.replaceAll(',', '').includes(String(number)));
        }
      }
    }),
    runs,
  );
});

test('constraints hold for the references and for no other name of the class', () => {
  fc.assert(
    fc.property(...seeds, fc.constantFrom(1, 2), (seed, nearMisses, constraints) => {
      const sample = make('world_constraints', seed, { nearMisses, constraints, members: 6 });
      const { question } = sample;
      const called = ({ name }: Record): string => (question.includes('surname') ? name.split(' ').at(-1)! : name);
      const checks: ((one: Record) => boolean)[] = [];
      const begins = /begins with the letter (\w)/.exec(question)?.[1];
      if (begins !== undefined) checks.push((one) => called(one)[0] === begins);
      const ends = /ends with the letter (\w)/.exec(question)?.[1];
      if (ends !== undefined) checks.push((one) => called(one).toUpperCase().endsWith(ends));
      const words = /name has (\d) words/.exec(question)?.[1];
      if (words !== undefined) checks.push(({ name }) => name.split(' ').length === Number(words));
      const [, side, limit = ''] = /is (below|above) ([\d,]+)/.exec(question) ?? [];
      const bound = Number(limit.replace(/,$/, '').replaceAll(',', ''));
      if (side !== undefined) checks.push(({ number }) => (side === 'below' ? number < bound : number > bound));
      assert.equal(checks.length, constraints);
      const members = membersOf(sample);
      const satisfying = members.filter((one) => checks.every((check) => check(one)));
      assert.deepEqual([...sample.references].sort(), satisfying.map(({ name }) => name).sort());
      assert.ok(satisfying.length > 0 && satisfying.length < members.length);
      assert.equal(sample.meta.constrainedness, 1 - satisfying.length / members.length);
    }),
    { numRuns: 100 },
  );
});

test('more names than the class has are refused', () => {
  assert.throws(() => findTask('global_top_k')!.parse({ members: 3, k: 3 }), /ERR_SUITE\] global_top_k k/);
});

test('the same seed tells the same samples on every machine', () => {
  const hash = createHash('sha256');
  for (const id of ['global_count', 'global_extremum', 'global_sort', 'global_top_k', 'world_constraints']) {
    for (let seed = 0; seed < 10; seed++) hash.update(JSON.stringify(make(id, seed, { nearMisses: seed % 2 })));
  }
  assert.equal(hash.digest('hex'), 'af9a46616aa6649b3fab5199a86aa290dbebedeb888a2069f97157a2713c143b');
});
