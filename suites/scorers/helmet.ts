import type { Scorer } from '../contract.js';
import { isExactMatch, isSubstringMatch, normaliseAnswer, strip } from './normalise.js';
import { rankingNdcg10 } from './ranking.js';
import { stemmedRougeL, stemmedRougeLsum } from './rouge.js';

/**
 * Rules of princeton-nlp/HELMET, utils.py, data.py and eval_alce.py. Where upstream's headline is a judge model (NarrativeQA, the
 * summaries), the string metric of the same code stands in its place.
 *
 * References of `alce_asqa` and `alce_qampari` are answers to be named, the wordings of one answer separated by tabs; of `rerank`,
 * `id gain`; of `infbench_choice`, the letter and `letter. option`.
 */
const answerAfter = (output: string, prefix: string): string => {
  const named = new RegExp(prefix, 'i').exec(output);
  const text = strip(output.slice(named === null ? 0 : named.index + prefix.length).split('\n')[0]!);
  return strip(text.replace(new RegExp(`^${prefix}`, 'i'), ''));
};

/** The better of the output as it is and of what follows the prefix in it. */
const rawOrParsed =
  (scorer: Scorer, prefix = 'answer:'): Scorer =>
  (output, sample) =>
    Math.max(scorer(output, sample), scorer(answerAfter(output, prefix), sample));

const exact: Scorer = (prediction, { references }) =>
  Number(references.some((reference) => isExactMatch(prediction, reference)));

const substring: Scorer = (prediction, { references }) =>
  Number(references.some((reference) => isSubstringMatch(prediction, reference)));

const choice: Scorer = (output, sample) => {
  const option = sample.references[1];
  const isNamed = option !== undefined && output.toLowerCase().includes(option.toLowerCase());
  return isNamed ? 1 : rawOrParsed(exact)(output, sample);
};

const withoutCitations = (output: string): string =>
  output
    .replace(/\n+/g, ' ')
    .replaceAll('<|im_end|>', '')
    .replace(/ ?\[\p{Nd}+/gu, '')
    .replaceAll(' |', '')
    .replaceAll(']', '');

const wordingsOf = (reference: string): string[] => reference.split('\t').map(normaliseAnswer);

const asqa: Scorer = (output, { references }) => {
  const text = normaliseAnswer(withoutCitations(output));
  const named = references.filter((reference) => wordingsOf(reference).some((wording) => text.includes(wording)));
  return named.length / references.length;
};

/** Five of the answers are enough. */
const qampari: Scorer = (output, { references }) => {
  const list = withoutCitations(output).trimEnd().replace(/\.+$/, '').replace(/,+$/, '');
  const named = new Set(list.split(',').map((item) => normaliseAnswer(item)));
  named.delete('');
  const found = references.filter((reference) => wordingsOf(reference).some((wording) => named.has(wording)));
  return Math.min(5, found.length) / Math.min(5, references.length);
};

export const helmetScorers: Readonly<Record<string, Scorer>> = {
  json_kv: rawOrParsed(substring, 'corresponding value:'),
  rag: rawOrParsed(substring),
  icl: (output, sample) => exact(answerAfter(output, 'label:'), sample),
  rerank: rankingNdcg10,
  infbench_choice: choice,
  longqa: rawOrParsed(stemmedRougeL),
  summary: rawOrParsed(stemmedRougeLsum, 'summary:'),
  alce_asqa: asqa,
  alce_qampari: qampari,
};
