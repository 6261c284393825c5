/** Checks on what stays in the cache, slot by slot. */
import assert from 'node:assert/strict';
import { actsOnText, type Check, type CheckFacts, first } from './conformance-check.js';
import { evicts } from './conformance-choice.js';
import { QUESTION_TOKENS, requestFor, runOne, windowOf } from './conformance-subject.js';
import { budgetOf, keptByMethod, type PlantedSample } from './naive-views.js';

export const keptChecks: readonly Check[] = [
  {
    property: 'C25',
    title: 'survivors are untouched: keys and values of kept slots are bit for bit what they were',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        evicts(facts) ? undefined : 'evicts nothing',
        packs(facts) ? 'packs survivors: they may change within its error' : undefined,
        facts.subject.method.family === 'merging' ? 'merges what it drops into survivors' : undefined,
      ),
    run: async (facts) => {
      for (const bench of facts.benches) {
        const row = await runOne(bench, requestFor(facts.subject, { capture: true }));
        row.kept.forEach((heads, layer) => {
          const { headDim, headDimV } = bench.facts.layers[layer]!;
          const longest = Math.max(...heads.map((slots) => slots.length));
          for (const [name, width] of [
            ['keys', headDim],
            ['values', headDimV],
          ] as const) {
            const before = row.captured![layer]![name];
            const after = row.capturedAfter![layer]![name];
            const total = before.length / heads.length / width;
            heads.forEach((slots, head) => {
              slots.forEach((position, at) => {
                if (position < 0) return; // synthetic
                const old = before.subarray((head * total + position) * width, (head * total + position + 1) * width);
                const now = after.subarray((head * longest + at) * width, (head * longest + at + 1) * width);
                assert.deepEqual(now, old, `layer ${layer}, head ${head}, position ${position}, ${name}`);
              });
            });
          }
        });
      }
    },
  },
  {
    property: 'C25',
    title: 'tokens add up: the counts of a head are the tokens that were fed, however they were merged',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        facts.subject.method.family === 'merging' ? undefined : 'merges nothing: what it drops counts no more',
      ),
    run: async (facts) => {
      for (const bench of facts.benches) {
        const row = await runOne(bench, requestFor(facts.subject, { capture: true }));
        row.kept.forEach((heads, layer) => {
          const { counts } = row.capturedAfter![layer]!;
          const longest = counts.length / heads.length;
          heads.forEach((slots, head) => {
            const total = counts.subarray(head * longest, head * longest + slots.length).reduce((a, b) => a + b, 0);
            assert.equal(total, facts.subject.contextTokens + QUESTION_TOKENS, `layer ${layer}, head ${head}`);
          });
        });
      }
    },
  },
  {
    property: 'T10',
    title: 'the engine keeps what plain arrays keep',
    exempt: (facts) =>
      first(
        actsOnText(facts),
        evicts(facts) ? undefined : 'evicts nothing; what a selector reads is compared in its own test',
        facts.subject.randomised,
      ),
    run: async (facts) => {
      const { method, params, contextTokens } = facts.subject;
      for (const bench of facts.benches) {
        const row = await runOne(bench, requestFor(facts.subject, { capture: true }));
        const length = contextTokens + QUESTION_TOKENS;
        const sample: PlantedSample = {
          shapes: bench.facts.layers,
          contextLength: contextTokens,
          sampleSeed: 5,
          evidence: [{ start: 10, end: 14 }],
          keys: row.captured!.map(({ keys }, layer) =>
            slotVectors(keys, bench.facts.layers[layer]!.numKvHeads, length),
          ),
          values: row.captured!.map(({ values }, layer) =>
            slotVectors(values, bench.facts.layers[layer]!.numKvHeads, length),
          ),
          queries: row.captured!.map(({ windowQueries }) =>
            lastQueries(windowQueries, length, windowOf(facts.declared.needs)),
          ),
        };
        const budget = budgetOf(Math.floor(contextTokens / 2), contextTokens, method.covers ?? 'context');
        const [expected] = await keptByMethod(method, params, sample, [budget]);
        assert.deepEqual(
          row.kept.map((heads) => heads.map((slots) => Array.from(slots).filter((position) => position >= 0))),
          expected,
        );
      }
    },
  },
];

const packs = ({ subject: { method } }: CheckFacts): boolean =>
  method.family === 'quantisation' || method.id.includes('kivi');

const split = <A extends Float32Array>(values: A, parts: number): Float32Array[] => {
  const size = values.length / parts;
  return Array.from({ length: parts }, (_, i) => values.subarray(i * size, (i + 1) * size));
};

/** [head][slot][channel]. */
const slotVectors = (plane: Float32Array, heads: number, length: number): number[][][] =>
  split(plane, heads).map((head) => split(head, length).map((vector) => Array.from(vector)));

/** Only the window's queries were kept; the others are not looked at. */
const lastQueries = (window: Float32Array | undefined, length: number, last: number): number[][] => {
  const known = window === undefined ? [] : split(window, last).map((query) => Array.from(query));
  return [
    ...Array.from({ length: length - known.length }, () => new Array<number>(known[0]?.length ?? 0).fill(0)),
    ...known,
  ];
};
