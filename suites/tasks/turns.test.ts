import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Sample } from '../contract.js';
import { findTask } from './index.js';
import { byteMeter, wordMeter } from './word-meter.js';

const ids = ['kv_turns', 'kv_edits', 'world_turns'];
const draw = (id: string, params: object, seed: number, index: number, length = 2000, meter = wordMeter()): Sample => {
  const task = findTask(id)!;
  const order = { params: task.parse(params), length, samples: index + 1, first: index, seed, meter, maxNewTokens: 24 };
  return [...task.generate(order)][0]!;
};
const anySample = [fc.constantFrom(...ids), fc.constantFrom('gold', 'answer'), fc.nat(1000), fc.nat(100)] as const;
const runs = { numRuns: 40 };
const allTurns = (sample: Sample) => [sample, ...(sample.turns ?? [])];

test('every turn is answered by its own evidence, which no other place repeats, or by the conversation before it', () => {
  fc.assert(
    fc.property(...anySample, (id, history, seed, index) => {
      const sample = draw(id, { history }, seed, index);
      assert.equal(allTurns(sample).length, sample.meta.turns);
      assert.equal(sample.turnsContinue, history);
      let said = '';
      for (const { evidence, references, question, answerPrefix, meta } of allTurns(sample)) {
        const [answer] = references as [string];
        const spans = evidence.map(({ start, end }) => sample.context.slice(start, end));
        if (meta.kind === 'edited') {
          assert.equal(evidence.length, 0);
          assert.ok(said.includes(answer) && !sample.context.includes(answer), 'only an edit says it');
        } else {
          assert.ok(
            spans.some((span) => span.includes(answer)),
            answer,
          );
          if (id !== 'world_turns') assert.equal(sample.context.split(answer).length, 2, 'stands once');
        }
        assert.ok(!answerPrefix.includes(answer));
        said += question;
      }
    }),
    runs,
  );
});

test('an edit never touches the pair that is asked for beside it', () => {
  const sample = draw('kv_edits', {}, 1, 1);
  assert.deepEqual(
    allTurns(sample).map(({ meta }) => meta.kind),
    ['lookup', 'edit', 'edited', 'lookup', 'edit', 'edited'],
  );
  const edit = sample.turns![0]!;
  const [changed, , asked] = [...edit.question.matchAll(/"([^"]+)"/g)].map(([, text]) => text);
  assert.notEqual(changed, asked);
  assert.ok(sample.turns![1]!.question.includes(changed!));
});

test('all turns with their answers fit the length; without a history the longest question does', () => {
  for (const meter of [wordMeter(), byteMeter()])
    fc.assert(
      fc.property(...anySample, fc.boolean(), (id, continued, seed, index, alone) => {
        const history = alone && id !== 'kv_edits' ? 'none' : continued;
        const length = meter.count('a b') === 2 ? 2000 : 9000;
        const sample = draw(id, { history }, seed, index, length, meter);
        const turns = allTurns(sample);
        if (history === 'none') {
          assert.equal(sample.turnsContinue, undefined);
          const most = Math.max(...turns.map((turn) => meter.countPrompt({ ...turn, context: sample.context })));
          // The counts of models add up over context and question; those of bytes may be one token apart.
          assert.ok(most + 24 <= length + (length === 9000 ? 1 : 0));
          assert.ok(most + 24 > length - (id === 'world_turns' ? 1200 : 200), `${length - most} tokens are not used`);
        } else {
          // As it is fed: a space more for each turn would be the test's own.
          const text = turns.map(({ question, answerPrefix }) => question + answerPrefix).join('');
          assert.ok(meter.count(sample.context + text) + 24 * turns.length <= length);
        }
      }),
      runs,
    );
});

test('the same seed gives the same sample, whatever comes before it', () => {
  for (const id of ids) {
    assert.deepEqual(draw(id, {}, 5, 3), draw(id, {}, 5, 3));
    assert.notEqual(draw(id, {}, 5, 3).context, draw(id, {}, 6, 3).context);
  }
});
