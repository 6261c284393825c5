import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { ATTRIBUTES, COLLECTIONS, DEEDS, REQUESTS } from '../../datasets/personal-facts.js';
import { proseSentences } from '../../datasets/prose.js';
import { ABSTENTION } from '../scorers/abstention.js';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const make = (type: string, seed: number, params: object = {}, length = 1500) => {
  const task = findTask(`dialogue_${type}`)!;
  const order = { params: task.parse(params), length, samples: 1, seed, meter: wordMeter(), maxNewTokens: 16 };
  return [...task.generate(order)][0]!;
};
type Made = ReturnType<typeof make>;

/** What users say, turn by turn; what assistants say holds no fact. */
const userTurns = ({ context }: Made): string[] => [...context.matchAll(/^User: (.*)$/gm)].map(([, turn]) => turn!);
const spans = ({ context, evidence }: Made): string[] => evidence.map(({ start, end }) => context.slice(start, end));
const seeds = fc.nat(100_000);
const runs = { numRuns: 60 };

test('no value stands in the prose, in a request or in another value', () => {
  const values = [...ATTRIBUTES, ...COLLECTIONS].flatMap((one) => one.values.map((value) => value.toLowerCase()));
  let prose = REQUESTS.join(' ');
  for (const sentence of proseSentences('dialogues')) {
    prose += ` ${sentence}`;
    if (prose.length > 400_000) break;
  }
  const known = new Set([...values, ...DEEDS]);
  for (const value of known) {
    assert.ok(!prose.toLowerCase().includes(value), value);
    assert.deepEqual(
      [...known].filter((other) => other.includes(value)),
      [value],
    );
  }
});

test('sessions are numbered, dated in order, and named as the text names them', () => {
  fc.assert(
    fc.property(seeds, fc.constantFrom('single_session', 'temporal'), (seed, type) => {
      const { context, documents, documentIds } = make(type, seed);
      const dates = documents.map(({ start, end }, i) => {
        const [, id, date = ''] = /^(Session \d+) \((.*)\)\nUser: /.exec(context.slice(start, end))!;
        assert.deepEqual([id, documentIds![i]], [`Session ${i + 1}`, id]);
        return Date.parse(`${date} UTC`);
      });
      assert.ok(dates.every((date, i) => i === 0 || date > dates[i - 1]!));
    }),
    runs,
  );
});

test('evidence is whole turns of the user; the value is told in them alone', () => {
  fc.assert(
    fc.property(
      seeds,
      fc.constantFrom('single_session', 'multi_session', 'knowledge_update'),
      fc.integer({ min: 0, max: 5 }),
      (seed, type, otherFacts) => {
        const sample = make(type, seed, { otherFacts });
        const turns = userTurns(sample);
        for (const turn of spans(sample)) assert.ok(turns.includes(turn), turn);
        for (const reference of sample.references) {
          assert.equal(spans(sample).filter((turn) => turn.includes(reference)).length, 1, reference);
          assert.equal(sample.context.split(reference).length, 2, reference);
          assert.ok(!sample.question.includes(reference) && !sample.answerPrefix.includes(reference));
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('an update comes after what was true before, and only the later turn is evidence', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const sample = make('knowledge_update', seed);
      const [now = '', before = ''] = sample.classes!;
      assert.deepEqual(sample.references, [now]);
      assert.ok(sample.context.indexOf(before) >= 0 && sample.context.indexOf(before) < sample.context.indexOf(now));
      assert.equal(spans(sample).length, 1);
    }),
    runs,
  );
});

test('of two things told, the one in the earlier session is the first', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 4 }), (seed, otherFacts) => {
      const sample = make('temporal', seed, { otherFacts });
      const [, a = '', b = ''] = /that I (.*), or that I (.*)\?/.exec(sample.question)!;
      const [at, bt] = [a, b].map((deed) => sample.context.indexOf(`I ${deed}`)) as [number, number];
      assert.ok(at >= 0 && bt >= 0);
      assert.deepEqual(sample.references, [at < bt ? a : b]);
      assert.equal(sample.evidence.length, 2);
    }),
    runs,
  );
});

test('what others did does not belong to a collection', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 2, max: 5 }), (seed, mentions) => {
      const sample = make('multi_session', seed, { mentions });
      const { values, others } = COLLECTIONS.find(({ id }) => id === sample.meta.about)!;
      const told = values.filter((value) => sample.context.includes(value));
      assert.equal(told.length, mentions + 1);
      const foreign = told.filter((value) => !sample.references.includes(value));
      assert.equal(foreign.length, 1);
      assert.ok(others.some((phrase) => sample.context.includes(phrase.replace('{V}', foreign[0]!))));
    }),
    runs,
  );
});

test('what was never told has no answer, though something like it was told', () => {
  const seen = new Set<unknown>();
  fc.assert(
    fc.property(seeds, (seed) => {
      const sample = make('abstention', seed);
      const asked = ATTRIBUTES.find(({ id }) => id === sample.meta.about)!;
      const near = ATTRIBUTES.find(({ id }) => id === asked.near)!;
      const tells = ({ says, values }: typeof asked): boolean =>
        says.some((phrase) => values.some((value) => sample.context.includes(phrase.replace('{V}', value))));
      assert.equal(tells(asked), sample.meta.answerable);
      assert.ok(tells(near));
      assert.equal(sample.references[0] === ABSTENTION, !tells(asked));
      assert.equal(sample.evidence.length, 1);
      seen.add(sample.meta.answerable);
    }),
    runs,
  );
  assert.equal(seen.size, 2);
});

test('the same seed tells the same samples on every machine', () => {
  const hash = createHash('sha256');
  for (const type of ['single_session', 'multi_session', 'knowledge_update', 'temporal', 'abstention']) {
    for (let seed = 0; seed < 10; seed++) hash.update(JSON.stringify(make(type, seed)));
  }
  assert.equal(hash.digest('hex'), '52e8a49581edacb8bed1af08bc4807557f74aa79bff79ad679875ac0f7d741c0');
});
