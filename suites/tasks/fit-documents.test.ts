import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DocumentPrompt, fitDocuments } from './fit-documents.js';
import { byteMeter, wordMeter } from './word-meter.js';

interface Plan {
  readonly sizes: readonly number[];
  readonly needed: readonly boolean[];
}

const promptOf = ({ sizes, needed }: Plan): DocumentPrompt => ({
  before: 'Before.\n',
  pool: {
    separator: '\n\n',
    documents: sizes.map((size, i) => ({
      isNeeded: needed[i] ?? false,
      write(number) {
        const head = `[${number}] `;
        const text = `${head}d${i} ${'word '.repeat(size)}end.`;
        return { text, id: `d${i}`, evidence: needed[i] ? [{ start: head.length, end: text.length }] : [] };
      },
    })),
  },
  question: '\nWhat?',
  references: ['x'],
  meta: {},
});

const plan = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 25 }),
  needed: fc.array(fc.boolean(), { maxLength: 25 }),
});

test('documents that seem to fit by their single counts, and do not together, are left out', () => {
  // Numbers of two digits and rounding: the counts of all ten add up to less than their prompt has.
  const sizes = [3, 25, 58, 38, 20, 47, 41, 31, 38, 2];
  const order = { task: 't', length: 407, maxNewTokens: 10, meter: byteMeter() };
  assert.equal(fitDocuments(order, promptOf({ sizes, needed: [] })).meta.droppedDocuments, 2);
});

test('the prompt fits, holds all that is needed, in order and numbered, and has no room for one document more', () => {
  for (const meter of [wordMeter(), byteMeter()]) {
    fc.assert(
      fc.property(plan, fc.integer({ min: 80, max: 1500 }), (one, length) => {
        const order = { task: 't', length, maxNewTokens: 10, meter };
        const { context, documents, documentIds, evidence, meta, question } = fitDocuments(order, promptOf(one));
        assert.ok(meter.countPrompt({ context, question, answerPrefix: '' }) <= length - 10);
        const kept = documentIds!.map((id) => Number(id.slice(1)));
        assert.deepEqual(
          kept,
          [...kept].sort((a, b) => a - b),
        );
        const needed = one.sizes.flatMap((_, i) => (one.needed[i] ? [i] : []));
        if (meta.truncatedTokens !== 0) {
          assert.ok(needed.length > 0, 'only what is needed loses its middle');
          assert.equal(meta.droppedDocuments, one.sizes.length - needed.length);
          return;
        }
        for (const i of needed) assert.ok(kept.includes(i));
        assert.equal(meta.droppedDocuments, one.sizes.length - kept.length);
        for (const [at, { start, end }] of documents.entries())
          assert.match(context.slice(start, end), new RegExp(`^\\[${at + 1}\\] d${kept[at]} .*end\\.$`));
        assert.deepEqual(
          evidence.map(({ start, end }) => context.slice(start, end)),
          needed.map((i) => `d${i} ${'word '.repeat(one.sizes[i]!)}end.`),
        );
        const next = one.sizes.findIndex((_, i) => !kept.includes(i));
        if (next < 0) return;
        const more = promptOf({ sizes: one.sizes, needed: one.sizes.map((_, i) => kept.includes(i) || i === next) });
        const whole = fitDocuments(
          { ...order, length: 100_000 },
          {
            ...more,
            pool: { ...more.pool, documents: more.pool.documents.filter(({ isNeeded }) => isNeeded) },
          },
        );
        assert.ok(meter.countPrompt({ ...whole, question }) > length - 10);
      }),
      { numRuns: 200 },
    );
  }
});
