import { WinnowError } from '../../core/errors.js';
import type { DatasetFile } from '../../datasets/index.js';

/** One question of a bAbI story with the facts before it; other questions are dropped, as BABILong does. */
export interface BabiQuestion {
  readonly facts: readonly string[];
  readonly question: string;
  readonly answer: string;
  /** Indices of the facts that the answer needs. */
  readonly support: readonly number[];
  /** Of the question in the file, from 1. */
  readonly line: number;
}

/**
 * Lines are `N text` for facts and `N question <tab> answer <tab> N N …` for questions; numbering starts again with every story.
 * Throws: ERR_DATASET_FORMAT that names the line.
 */
export const babiQuestions = (file: DatasetFile): readonly BabiQuestion[] => {
  const record = file.record(0);
  const text = typeof record === 'object' && record !== null && 'text' in record ? record.text : undefined;
  if (typeof text !== 'string') throw bad(file, 1, 'a text', typeof text);
  const questions: BabiQuestion[] = [];
  let facts: { readonly number: number; readonly text: string }[] = [];
  let last = 0;
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return;
    const [, digits, rest] = /^(\d+) (.*)$/.exec(line.trimEnd()) ?? [];
    if (digits === undefined || rest === undefined) throw bad(file, i + 1, 'a number, a space and a sentence', line);
    const number = Number(digits);
    if (number === 1) facts = [];
    else if (number !== last + 1) throw bad(file, i + 1, `number ${last + 1}, or 1 of a new story`, number);
    last = number;
    const [said, answer, support] = rest.split('\t');
    if (answer === undefined) {
      facts.push({ number, text: said!.trim() });
      return;
    }
    const needed = (support ?? '').split(' ').map((one) => facts.findIndex((fact) => fact.number === Number(one)));
    if (needed.includes(-1)) throw bad(file, i + 1, 'numbers of facts before the question', support);
    if (answer.trim() === '') throw bad(file, i + 1, 'an answer', answer);
    const told = facts.map((fact) => fact.text);
    questions.push({
      facts: told,
      question: said!.trim(),
      answer: answer.trim(),
      support: [...new Set(needed)].sort((a, b) => a - b),
      line: i + 1,
    });
  });
  if (questions.length === 0) throw bad(file, 1, 'questions', 'none');
  return questions;
};

const bad = (file: DatasetFile, line: number, expected: string, actual: unknown): WinnowError =>
  new WinnowError('ERR_DATASET_FORMAT', `${file.name}:${line}`, expected, actual, 'It is not in the layout of bAbI.');
