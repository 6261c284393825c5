import type { Scorer } from '../contract.js';
import { strip, tokenF1 } from './normalise.js';
import { rougeUnionF1 } from './rouge-union.js';
import { fuzzPercent } from './sequence-matcher.js';

type Metric = (prediction: string, reference: string, classes: readonly string[]) => number;

const NUMBERS = /\p{Nd}+/gu;

/** Share of the numbers in the prediction that equal the wanted one. */
const shareOfNumber = (prediction: string, wanted: string): number => {
  const numbers = prediction.match(NUMBERS) ?? [];
  return numbers.length === 0 ? 0 : numbers.filter((number) => number === wanted).length / numbers.length;
};

const count: Metric = (prediction, reference) => shareOfNumber(prediction, reference);

/** The reference reads `Paragraph 7`. */
const retrieval: Metric = (prediction, reference) =>
  shareOfNumber(prediction, /Paragraph (\p{Nd}+)/u.exec(reference)?.[1] ?? '');

/** The first line that is neither a comment nor a fence against the reference, in whole percent of similarity. */
const codeSimilarity: Metric = (prediction, reference) => {
  const lines = withoutLeadingNewlines(prediction).split('\n');
  const code = lines.find((line) => !line.includes('`') && !line.includes('#') && !line.includes('//')) ?? '';
  return fuzzPercent(code, reference) / 100;
};

/** Classes named in the prediction share the point; a class that is only a part of the right one's name does not count as named. */
const classification: Metric = (prediction, reference, classes) => {
  const named = classes.filter((name) => prediction.includes(name));
  const rivals = named.filter((name) => name === reference || !reference.includes(name));
  return rivals.includes(reference) ? 1 / rivals.length : 0;
};

/** Upstream removes from the list that it walks over, so that the name after a removed one is never looked at. */
const classificationUpstream: Metric = (prediction, reference, classes) => {
  const named = classes.filter((name) => prediction.includes(name));
  for (let i = 0; i < named.length; i++) {
    const name = named[i]!;
    if (reference.includes(name) && name !== reference) named.splice(named.indexOf(name), 1);
  }
  return named.includes(reference) ? 1 / named.length : 0;
};

const METRICS: Readonly<Record<string, Metric>> = {
  narrativeqa: tokenF1,
  qasper: tokenF1,
  multifieldqa_en: tokenF1,
  hotpotqa: tokenF1,
  '2wikimqa': tokenF1,
  musique: tokenF1,
  gov_report: rougeUnionF1,
  qmsum: rougeUnionF1,
  multi_news: rougeUnionF1,
  trec: classification,
  'trec@upstream': classificationUpstream,
  triviaqa: tokenF1,
  samsum: rougeUnionF1,
  passage_count: count,
  passage_retrieval_en: retrieval,
  lcc: codeSimilarity,
  'repobench-p': codeSimilarity,
};

/** Few-shot tasks, where a model goes on with examples of its own after its answer. */
const FIRST_LINE = new Set(['trec', 'trec@upstream', 'triviaqa', 'samsum']);

const withoutLeadingNewlines = (text: string): string => text.replace(/^\n+/, '');

/** Scorers of LongBench v1's English and code datasets by name, best over the references (THUDM/LongBench, eval.py and metrics.py). */
export const longBenchScorers: Readonly<Record<string, Scorer>> = Object.fromEntries(
  Object.entries(METRICS).map(([dataset, metric]): [string, Scorer] => [
    dataset,
    (prediction, { references, classes = [] }) => {
      const text = FIRST_LINE.has(dataset) ? withoutLeadingNewlines(prediction).split('\n')[0]! : prediction;
      return Math.max(0, ...references.map((reference) => metric(text, reference, classes)));
    },
  ]),
);

/** LongBench v2: the letter of `The correct answer is (C)`, brackets optional, asterisks ignored; no such phrase is a wrong answer. */
export const longBenchV2: Scorer = (prediction, { references }) => {
  const text = strip(prediction).replaceAll('*', '');
  const letter = /The correct answer is \(([A-D])\)/.exec(text)?.[1] ?? /The correct answer is ([A-D])/.exec(text)?.[1];
  return letter !== undefined && references.includes(letter) ? 1 : 0;
};
