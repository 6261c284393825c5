import type { Scorer } from '../contract.js';
import { bestTokenF1 } from './answer-match.js';
import { bagOfWordsF1, splitWords, strip } from './normalise.js';
import { rougeLsum } from './rouge.js';

/** Rules of OpenBMB/InfiniteBench, src/compute_scores.py. References are labels as text; of lists, the elements in order. */
const MARKS = /[\n:"'.,?!{}]/g;

const wordsWithoutMarks = (text: string): string[] => splitWords(text.replace(MARKS, ' '));

const isFirstInteger: Scorer = (prediction, { references: [label] }) =>
  Number(/[0-9]+/.exec(prediction)?.[0] === label);

const hasWord: Scorer = (prediction, { references: [label] }) => Number(wordsWithoutMarks(prediction).includes(label!));

/** Only the first of the names that a character goes by counts. */
const names: Scorer = (prediction, { references: [label] }) =>
  Number(
    wordsWithoutMarks(prediction)
      .map((word) => word.toUpperCase())
      .includes(label!),
  );

const codeRun: Scorer = (prediction, { references: [label] }) => {
  const last = splitWords(strip(prediction).replace(/[\n.`'":]/g, ' ')).at(-1);
  return Number(
    last !== undefined && /^[+-]?[0-9]+(?:_[0-9]+)*$/.test(last) && Number(last.replaceAll('_', '')) === Number(label),
  );
};

/** What follows the first of `phrases` that occurs, one character after it left out; `undefined` without any. */
const afterPhrase = (text: string, phrases: readonly string[]): string | undefined => {
  for (const phrase of phrases) {
    const at = text.indexOf(phrase);
    if (at >= 0) return text.slice(at + phrase.length + 1);
  }
  return undefined;
};

const singleSpaced = (text: string): string => text.replace(/ {2,}/g, ' ');

/** References: function name, letter. */
const codeDebug: Scorer = (prediction, { references: [name, letter] }) => {
  const start = prediction.slice(0, 2);
  if (start === `${letter}.` || start === `${letter}:`) return 1;
  const text = singleSpaced(strip(prediction).replace(/[\n`'"*-]|[Oo]ption/g, ' '));
  const answer = afterPhrase(text, ['answer is:', 'is:', 'answer:']);
  return Number(answer !== undefined && answer !== '' && (answer.startsWith(letter!) || answer.startsWith(name!)));
};

/** References: option text, letter. */
const choice: Scorer = (prediction, { references }) => {
  const first = prediction.slice(0, 1);
  if (first !== '' && 'ABCD'.includes(first)) return Number(references.includes(first));
  const text = singleSpaced(prediction.replace(/[\n"'.,?!{}]/g, ' '));
  const answer = afterPhrase(text, ['answer is:', 'answer:', 'answer is', 'option is']);
  if (answer !== undefined)
    return Number(answer !== '' && references.some((reference) => answer.startsWith(reference)));
  // As upstream has it: a word that is a run of these letters counts as one.
  const letter = splitWords(text).find((word) => 'ABCD'.includes(word));
  return Number(letter !== undefined && references.includes(letter));
};

const mathFind: Scorer = (prediction, { references: [label] }) => {
  const first = /[0-9]+\.[0-9]+|[0-9]+/.exec(prediction)?.[0];
  return Number(first !== undefined && Number(first) === Number(label));
};

/** References: the running values. Score: how many of them are right before the first wrong one. */
const mathCalc: Scorer = (prediction, { references }) => {
  const values = (prediction.match(/[0-9]+/g) ?? []).map(Number);
  let right = 0;
  while (right < references.length && values[right] === Number(references[right])) right++;
  return right / references.length;
};

const CHINESE_MARKS =
  '！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏.';

const chineseCharacters = (text: string): string[] =>
  [...splitWords(text.toLowerCase().replace(/[!-/:-@[-`{-~]/g, '')).join('')].filter(
    (char) => !CHINESE_MARKS.includes(char),
  );

const chineseF1: Scorer = (prediction, { references }) =>
  Math.max(
    0,
    ...references.map((reference) => bagOfWordsF1(chineseCharacters(prediction), chineseCharacters(reference))),
  );

export const infiniteBenchScorers: Readonly<Record<string, Scorer>> = {
  passkey: isFirstInteger,
  number_string: isFirstInteger,
  kv_retrieval: hasWord,
  longbook_choice_eng: choice,
  longbook_qa_eng: bestTokenF1,
  longbook_qa_chn: chineseF1,
  longbook_sum_eng: rougeLsum,
  longdialogue_qa_eng: names,
  math_find: mathFind,
  math_calc: mathCalc,
  code_run: codeRun,
  code_debug: codeDebug,
};
