import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WinnowError } from '../../core/errors.js';
import { scoreFile } from './score-file.js';

const line = (prediction: string, ...references: string[]): string => JSON.stringify({ prediction, references });
const failure = (body: () => unknown): WinnowError => {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof WinnowError, String(error));
    return error;
  }
  assert.fail('nothing was thrown');
};

test('RULER scores are the share of references found, without regard to case, in percent with two decimals', () => {
  const lines = [line('It is ABC and def\x01ghi', 'abc', 'DEF', 'xyz'), line('none', 'abc')];
  assert.deepEqual(scoreFile('ruler/string_match_all', lines), {
    scorer: 'ruler/string_match_all',
    n: 2,
    score: 33.33,
    scores: [2 / 3, 0],
  });
  assert.deepEqual(scoreFile('ruler/string_match_part', lines).scores, [1, 0]);
  assert.equal(scoreFile('ruler/string_match_part', lines).score, 50);
});

test('RULER neither normalises punctuation nor joins what a control character parts', () => {
  assert.deepEqual(
    scoreFile('ruler/string_match_all', [line('brave otter', 'brave-otter'), line('12\x0034', '1234')]).scores,
    [0, 0],
  );
});

test('SQuAD scores take the best reference, in percent', () => {
  const lines = [line('The cat.', 'dog', 'a cat'), line('cat sat', 'cat')];
  assert.equal(scoreFile('squad/em', lines).score, 50);
  assert.deepEqual(scoreFile('squad/f1', lines).scores, [1, 2 / 3]);
  assert.equal(scoreFile('squad/f1', lines).score, (100 * (1 + 2 / 3)) / 2);
});

test('an unanswerable question is right when the prediction has no words either', () => {
  assert.deepEqual(scoreFile('squad/f1', [line('', ''), line('Oslo', '')]).scores, [1, 0]);
});

test('exact and substring match are fractions over normalised text', () => {
  const lines = [line(' lives in the Oslo!', 'oslo'), line('Oslo', 'Bergen', 'OSLO')];
  assert.deepEqual(scoreFile('exact-match', lines).scores, [0, 1]);
  assert.deepEqual(scoreFile('substring-match', lines), { scorer: 'substring-match', n: 2, score: 1, scores: [1, 1] });
});

test('empty lines and fields for other scorers are passed over', () => {
  const withMore = JSON.stringify({ prediction: 'a', references: ['x'], classes: null, length: 3, index: 9 });
  assert.equal(scoreFile('exact-match', ['', withMore, '  ']).n, 1);
});

test('a malformed line is an error with its number', () => {
  const at = (...lines: string[]) => failure(() => scoreFile('exact-match', lines, 'x.jsonl'));
  assert.equal(at(line('a', 'b'), '{"prediction": ').code, 'ERR_DATASET_FORMAT');
  assert.match(at(line('a', 'b'), '{"prediction": ').message, /x\.jsonl:2: expected one JSON object, got/);
  assert.match(
    at('{"prediction": 3, "references": ["a"]}').message,
    /x\.jsonl:1 prediction: expected text, got 3 \(number\)/,
  );
  assert.match(
    at('{"prediction": "a", "references": []}').message,
    /x\.jsonl:1 references: expected a list with a length of at least 1/,
  );
  assert.match(
    at('{"prediction": "a", "references": ["b", null]}').message,
    /x\.jsonl:1 references\[1\]: expected text, got nothing/,
  );
  assert.match(at('[]').message, /x\.jsonl:1: expected fields/);
  assert.match(at('').message, /x\.jsonl: expected at least one line/);
});

test('an unknown scorer is a usage error with the near name', () => {
  const error = failure(() => scoreFile('ruler/string-match-all', []));
  assert.equal(error.code, 'ERR_USAGE');
  assert.match(error.message, /Did you mean ruler\/string_match_all\?/);
});
