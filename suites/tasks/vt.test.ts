import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { vt } from './vt.js';
import { wordMeter } from './word-meter.js';

const make = (hops: number, seed: number, length = 900) =>
  [
    ...vt.generate({
      params: { hops, sampling: 'independent' },
      length,
      samples: 1,
      seed,
      meter: wordMeter(),
      maxNewTokens: 30,
    }),
  ][0]!;
const anyHops = fc.integer({ min: 1, max: 10 });

test('following the assignments from the value gives the references, in order', () => {
  fc.assert(
    fc.property(anyHops, fc.nat(1000), (hops, seed) => {
      const { context, question, references } = make(hops, seed, 2000);
      const value = /value (\d{5}) /.exec(question)![1]!;
      const assignments = [...context.matchAll(/VAR ([A-Z]+) = (?:VAR )?(\w+)/g)].map(([, name, from]) => ({
        name: name!,
        from: from!,
      }));
      const chain: string[] = [];
      for (let from: string | undefined = value; from !== undefined; ) {
        const next: string | undefined = assignments.find((one) => one.from === from)?.name;
        if (next !== undefined) chain.push(next);
        from = next;
      }
      assert.deepEqual(chain, references);
      assert.equal(chain.length, hops + 1);
    }),
    { numRuns: 50 },
  );
});

test('the statements stand in the order of the chain and are the evidence', () => {
  const { context, evidence, references } = make(4, 1);
  const statements = evidence.map(({ start, end }) => context.slice(start, end));
  assert.deepEqual(
    statements.map((statement) => statement.split(' ')[1]),
    references,
  );
});

test('one solved example comes first, with other names and another value, and is no evidence', () => {
  fc.assert(
    fc.property(anyHops, fc.nat(1000), (hops, seed) => {
      const { context, evidence, references, answerPrefix } = make(hops, seed, 2000);
      const [example, body] = context.split(/\n\n(?=Follow)/);
      const solved = /they are: (.+)$/m.exec(example!)![1]!.split(/, | /);
      assert.equal(solved.length, hops + 1);
      for (const name of solved) assert.match(name, /^[A-Z]{3}$/);
      for (const name of references) assert.ok(!example!.includes(name) && body!.includes(name));
      assert.ok(evidence[0]!.start > example!.length);
      assert.match(example!, new RegExp(answerPrefix.replace(/\d{5}/, '\\d{5}').replace('.', '\\.')));
    }),
    { numRuns: 50 },
  );
});

test('the example takes a quarter of a short length and at most 500 tokens of a long one', () => {
  const meter = wordMeter();
  const exampleOf = (length: number) => meter.count(make(2, 0, length).context.split(/\n\n(?=Follow)/)[0]!);
  assert.ok(exampleOf(900) <= 225 && exampleOf(900) > 180, `${exampleOf(900)}`);
  assert.ok(exampleOf(8192) <= 500 && exampleOf(8192) > 440, `${exampleOf(8192)}`);
});
