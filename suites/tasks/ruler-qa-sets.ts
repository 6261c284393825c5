/** SQuAD and HotpotQA as RULER's qa.py reads them, for `sampling: upstream`. */
import type { DatasetFile } from '../../datasets/index.js';
import type { TextSpan } from '../../methods/contract.js';
import { type RulerQaSet, sortedTexts } from '../sampling/ruler-qa.js';
import { type HotpotFields, readHotpot } from './hotpot-records.js';
import { squadParagraphs, squadQuestions, squadRecord, squadReferences } from './squad-records.js';

const numbersOf = (documents: readonly string[]): ReadonlyMap<string, number> =>
  new Map(documents.map((text, i) => [text, i]));

/** One paragraph answers; the others of its article come next. References may repeat, as upstream's do. */
export const squadAsUpstream = (file: DatasetFile): RulerQaSet => {
  const articles = file.derived(squadParagraphs);
  const questions = file.derived(squadQuestions);
  const documents = sortedTexts(articles.flat().map(({ text }) => text));
  const numbers = numbersOf(documents);
  return {
    documents,
    size: questions.length,
    question(index) {
      const at = questions[index]!;
      const { question, text, references } = squadReferences(file, at);
      const own = numbers.get(text)!;
      const more = articles[at.article]!.map((other) => numbers.get(other.text)!).filter((number) => number !== own);
      const evidence = new Map([[own, squadRecord(file, at).needed[0]!.evidence]]);
      return { question, references, own: [own], more, evidence };
    },
  };
};

/** The ten paragraphs that the set gives with a question are its own. */
export const hotpotAsUpstream = (file: DatasetFile): RulerQaSet => {
  const records = Array.from({ length: file.size }, (_, i) => readHotpot(file, i));
  const documents = sortedTexts(records.flatMap(({ context }) => context.map(textOf)));
  const numbers = numbersOf(documents);
  return {
    documents,
    size: records.length,
    question(index) {
      const { question, answer, context, supporting_facts: facts } = records[index]!;
      const evidence = new Map<number, readonly TextSpan[]>();
      for (const paragraph of context) {
        const named = facts.flatMap(([title, sentence]) => (title === paragraph[0] ? [sentence] : []));
        const spans = spansOf(paragraph, new Set(named));
        if (spans.length > 0) evidence.set(numbers.get(textOf(paragraph))!, spans);
      }
      const own = context.map((paragraph) => numbers.get(textOf(paragraph))!);
      return { question, references: [answer], own, more: [], evidence };
    },
  };
};

type Paragraph = HotpotFields['context'][number];

const textOf = ([title, sentences]: Paragraph): string => `${title}\n${sentences.join('')}`;

/** Ranges of sentences in the paragraph's text, without the space around them. */
const spansOf = ([title, sentences]: Paragraph, named: ReadonlySet<number>): readonly TextSpan[] => {
  let at = title.length + 1;
  return sentences.flatMap((sentence, i) => {
    const start = at + (sentence.length - sentence.trimStart().length);
    const end = start + sentence.trim().length;
    at += sentence.length;
    return named.has(i) && end > start ? [{ start, end }] : [];
  });
};
