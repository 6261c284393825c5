import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sample, Task } from '../contract.js';
import { scorerById } from '../scorers/index.js';
import { findTask } from './index.js';
import { wordMeter } from './word-meter.js';

const chanceOf = (task: Task, params: object): number => {
  const { chance } = task;
  return typeof chance === 'function' ? chance(params) : chance!;
};

/** Mean score of an answer that sees nothing but what a guesser may know: the question, and the names among which to choose. */
const scoreOf = (task: Task, params: object, guess: (sample: Sample, index: number) => string): number => {
  const { score } = scorerById(task.scorer);
  const samples = [...task.generate({ params, length: 1500, samples: 200, seed: 11, meter: wordMeter() })];
  return samples.reduce((sum, sample, i) => sum + score(guess(sample, i), sample), 0) / samples.length;
};

/** The order of the classes follows from the answer: a guesser has another one. */
const shuffled = (names: readonly string[], index: number): string[] =>
  [...names].sort((a, b) => (index % 2 === 0 ? a.localeCompare(b) : b.localeCompare(a)));

const guesses: readonly [string, object, (sample: Sample, index: number) => string][] = [
  ['global_count', {}, () => '2'],
  ['global_count', { members: 5 }, (_, i) => String(1 + (i % 5))],
  ['global_sort', {}, ({ classes }, i) => shuffled(classes!, i).join(', ')],
  ['global_top_k', {}, ({ classes }) => classes!.join(', ')],
  ['global_top_k', { members: 6, k: 1 }, ({ classes }) => classes!.join(', ')],
  ['world_constraints', {}, ({ classes }) => classes!.join(', ')],
  ['world_constraints', { members: 8, constraints: 2 }, ({ classes }) => classes!.join(', ')],
  ['world_comparison', {}, ({ classes }, i) => shuffled(classes!, i)[0]!],
  ['world_comparison', { answerable: 0.25 }, () => 'not stated'],
  ['world_1_hop', { answerable: 0.5 }, () => 'not stated'],
  ['world_1_hop', {}, () => 'not stated'],
  ['world_abstention', { answerable: 0.75 }, () => 'Someone'],
  ['dialogue_temporal', {}, ({ classes }, i) => shuffled(classes!, i)[0]!],
  ['dialogue_abstention', {}, () => 'not stated'],
  ['dialogue_abstention', { answerable: 0.8 }, () => 'not stated'],
  ['entity_binding', {}, ({ classes }, i) => shuffled(classes!, i)[0]!],
];

for (const [id, given, guess] of guesses) {
  test(`${id} ${JSON.stringify(given)}: its chance is what guessing scores`, () => {
    const task = findTask(id)!;
    const params = task.parse(given);
    const [said, scored] = [chanceOf(task, params), scoreOf(task, params, guess)];
    // Three standard errors of 200 right or wrong answers are at most 0.106.
    assert.ok(Math.abs(said - scored) < 0.107, `says ${said}, guessing scores ${scored}`);
  });
}
