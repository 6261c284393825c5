import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scorerById } from './index.js';

const score = (id: string, prediction: string, references: string[], classes: string[] = []): number =>
  scorerById(id).score(prediction, { references, classes, question: '', meta: {} });

test('set F1: names in any order and layout; each item without a name of the references is wrong', () => {
  const want = ['Anna Berg', 'Carl Dahl'];
  for (const text of [
    'Carl Dahl, Anna Berg',
    '1. Anna Berg\n2. Carl Dahl',
    'They are:\n- anna berg\n- Carl Dahl.',
    'Anna Berg and Carl Dahl',
  ])
    assert.equal(score('set-f1', text, want), 1, text);
  assert.equal(score('set-f1', 'Anna Berg', want), 2 / 3);
  assert.equal(score('set-f1', 'Anna Berg, Emil Falk', want), 1 / 2);
  assert.equal(score('set-f1', 'Emil Falk', want), 0);
  assert.equal(score('set-f1', '', want), 0);
});

test('KITAB: shares of the names listed, and completeness of those that satisfy', () => {
  const all = ['Anna Berg', 'Carl Dahl', 'Emil Falk', 'Gerda Holm'];
  const of = (measure: string, text: string): number => score(`kitab/${measure}`, text, all.slice(0, 2), all);
  const text = 'Anna Berg, Emil Falk, Nobody Here, nobody here, Anna Berg';
  assert.deepEqual(
    ['satisfied', 'unsatisfied', 'not-from-context', 'completeness', 'all-correct'].map((measure) => of(measure, text)),
    [1 / 3, 1 / 3, 1 / 3, 1 / 2, 0],
  );
  assert.deepEqual([of('all-correct', 'Carl Dahl, Anna Berg'), of('all-correct', 'Carl Dahl')], [1, 0]);
  assert.deepEqual(
    ['satisfied', 'unsatisfied', 'completeness'].map((measure) => of(measure, '')),
    [0, 0, 0],
  );
});

test('order: the share of pairs in the right order; what is missing is wrong', () => {
  const want = ['A one', 'B two', 'C three'].map((name) => `x${name}`);
  assert.equal(score('order/kendall', 'xA one, xB two, xC three', want), 1);
  assert.equal(score('order/kendall', 'xC three, xB two, xA one', want), 0);
  assert.equal(score('order/kendall', 'xB two, xA one, xC three', want), 2 / 3);
  assert.equal(score('order/kendall', 'xA one then xC three', want), 1 / 3);
  assert.equal(score('order/kendall', 'xA one', ['xA one']), 1);
  assert.deepEqual(
    [score('order/exact', 'xA one xB two xC three', want), score('order/exact', 'xA one xC three', want)],
    [1, 0],
  );
});

test('first number: digits, thousands or words', () => {
  for (const text of ['12', 'There are twelve.', ' 12 people, not 13'])
    assert.equal(score('first-number', text, ['12']), 1, text);
  assert.equal(score('first-number', '1,200 of 12', ['1200']), 1);
  for (const text of ['', 'none', '13, or 12', '2']) assert.equal(score('first-number', text, ['12']), 0, text);
});

test('fact recall: the share of key strings', () => {
  assert.equal(score('fact-recall', 'She was born in ASHFORD in 1901', ['Ashford', 'the Berg Museum', '1901']), 2 / 3);
});
