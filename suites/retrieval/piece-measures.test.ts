import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TextSpan } from '../../methods/contract.js';
import { cutShare, pieceMeasures, sharedLength, unionLength } from './piece-measures.js';

const words = (text: string): number => text.match(/\S+/g)?.length ?? 0;
const cut = (text: string, ...cuts: number[]): TextSpan[] =>
  [0, ...cuts].map((start, i) => ({ start, end: cuts[i] ?? text.length }));

test('sizes, coverage and cuts of a text in two sentences', () => {
  const text = 'Anna went home. The door was open.';
  const at = text.indexOf('The');
  const measures = pieceMeasures(text, cut(text, at), words);
  assert.equal(measures.pieces, 2);
  assert.equal(measures.shortestTokens, 3);
  assert.equal(measures.longestTokens, 4);
  assert.equal(measures.meanTokens, 3.5);
  assert.equal(measures.cutsAtSentences, 1);
  assert.equal(measures.coverage, 1);
  assert.equal(measures.overlap, 1);
});

test('a cut within a sentence is seen, white space on either side of a cut is not', () => {
  const text = 'Anna went home. The door was open. It was late.';
  const cuts = (...at: number[]): number => pieceMeasures(text, cut(text, ...at), words).cutsAtSentences;
  assert.equal(cuts(text.indexOf('door')), 0);
  assert.equal(cuts(text.indexOf(' The')), 1);
  assert.equal(cuts(text.indexOf('door'), text.indexOf('It')), 0.5);
});

test('a heading ends with its line', () => {
  const text = 'Document 3: The Old Mill\nIt stands by the river.';
  assert.equal(pieceMeasures(text, cut(text, text.indexOf('It')), words).cutsAtSentences, 1);
});

test('evidence across a cut is cut, unless another piece overlaps it whole', () => {
  const text = 'aaaa bbbb cccc';
  const evidence = [{ start: 2, end: 7 }];
  assert.equal(cutShare(evidence, cut(text, 5)), 1);
  const overlapping = [...cut(text, 5), { start: 0, end: 9 }];
  assert.equal(cutShare(evidence, overlapping), 0);
  assert.equal(pieceMeasures(text, overlapping, words).overlap, (14 + 9) / 14);
  assert.equal(cutShare([], overlapping), undefined);
});

const span = fc.tuple(fc.nat(40), fc.nat(10)).map(([start, length]) => ({ start, end: start + length }));

test('lengths of unions and intersections are those of the sets of characters', () => {
  const charactersOf = (spans: readonly TextSpan[]): Set<number> =>
    new Set(spans.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i)));
  fc.assert(
    fc.property(fc.array(span), fc.array(span), (some, others) => {
      const [a, b] = [charactersOf(some), charactersOf(others)];
      assert.equal(unionLength([...some].sort((x, y) => x.start - y.start)), a.size);
      assert.equal(sharedLength(some, others), [...a].filter((at) => b.has(at)).length);
    }),
  );
});
