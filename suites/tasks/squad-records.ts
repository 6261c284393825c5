import { z } from 'zod';
import type { DatasetFile } from '../../datasets/index.js';
import type { QuestionRecord } from './question-record.js';
import { readRecord } from './read-record.js';
import type { ShownDocument } from './world-layout.js';

const articleSchema = z.object({
  title: z.string(),
  paragraphs: z
    .array(
      z.object({
        context: z.string().min(1),
        qas: z.array(
          z.object({
            question: z.string().min(1),
            is_impossible: z.boolean().default(false),
            answers: z.array(z.object({ text: z.string().min(1), answer_start: z.number() })).default([]),
          }),
        ),
      }),
    )
    .min(1),
});

/** Where an answerable question stands. */
export interface SquadQuestion {
  readonly article: number;
  readonly paragraph: number;
  readonly question: number;
}

/** The questions that have an answer, in file order. */
export const squadQuestions = (file: DatasetFile): readonly SquadQuestion[] =>
  Array.from({ length: file.size }, (_, article) =>
    readRecord(file, article, articleSchema).paragraphs.flatMap(({ qas }, paragraph) =>
      qas.flatMap(({ is_impossible: isImpossible, answers }, question) =>
        isImpossible || answers.length === 0 ? [] : [{ article, paragraph, question }],
      ),
    ),
  ).flat();

/** Paragraphs by article. Their names are the article's title and their number in it. */
export const squadParagraphs = (file: DatasetFile): readonly (readonly ShownDocument[])[] =>
  Array.from({ length: file.size }, (_, article) => {
    const { title, paragraphs } = readRecord(file, article, articleSchema);
    return paragraphs.map(({ context }, i) => ({ about: nameOf(title, i), text: context }));
  });

const nameOf = (title: string, paragraph: number): string =>
  `${title.replaceAll('_', ' ')}, paragraph ${paragraph + 1}`;

/** A question and its answers as the file has them, and the paragraph that it is asked about. */
export const squadReferences = (file: DatasetFile, at: SquadQuestion) => {
  const { context, qas } = readRecord(file, at.article, articleSchema).paragraphs[at.paragraph]!;
  const { question, answers } = qas[at.question]!;
  return { question, text: context, references: answers.map(({ text }) => text) };
};

/** Evidence is the sentence that holds the answer; own paragraphs are the others of the article. */
export const squadRecord = (file: DatasetFile, at: SquadQuestion): QuestionRecord => {
  const { title, paragraphs } = readRecord(file, at.article, articleSchema);
  const { context, qas } = paragraphs[at.paragraph]!;
  const { question, answers } = qas[at.question]!;
  const first = answers[0]!;
  const evidence = [sentenceAround(context, first.answer_start, first.answer_start + first.text.length)];
  const own = file.derived(squadParagraphs)[at.article]!.filter((_, i) => i !== at.paragraph);
  return {
    question: question.trim(),
    references: [...new Set(answers.map(({ text }) => text))],
    needed: [{ about: nameOf(title, at.paragraph), text: context, evidence }],
    own,
    meta: { article: title },
  };
};

const sentenceAround = (text: string, start: number, end: number) => {
  const ends = [...text.matchAll(/[.!?]["'”’)\]]*(?=\s|$)/g)].map(({ 0: mark, index }) => index + mark.length);
  const before = ends.filter((at) => at <= start).at(-1) ?? 0;
  const from = before + (/^\s*/.exec(text.slice(before))?.[0].length ?? 0);
  return { start: from, end: ends.find((at) => at >= end) ?? text.trimEnd().length };
};
