import { z } from 'zod';
import type { DatasetFile } from '../../datasets/index.js';
import type { QuestionRecord } from './question-record.js';
import { readRecord } from './read-record.js';
import type { NeededDocument } from './world-sample.js';

const official = z.object({
  question: z.string().min(1),
  answer: z.string().min(1),
  answer_aliases: z.array(z.string()).default([]),
  paragraphs: z
    .array(z.object({ title: z.string(), paragraph_text: z.string().min(1), is_supporting: z.boolean() }))
    .min(1),
  question_decomposition: z.array(z.object({ paragraph_support_idx: z.number().nullable().optional() })).default([]),
});
/** As retrieval papers pass it on: passages without titles or support, answers as a list. */
const passagesOnly = z.object({
  question: z.string().min(1),
  answers: z.array(z.string().min(1)).min(1),
  ctxs: z.array(z.object({ title: z.string(), text: z.string().min(1) })).min(1),
});

/**
 * Needed paragraphs follow the decomposition of the question; evidence is a whole paragraph, which is all that the set marks. Records
 * without marks of support keep all their paragraphs and have no evidence.
 */
export const musiqueRecord = (file: DatasetFile, index: number): QuestionRecord => {
  const raw = file.record(index);
  if (typeof raw === 'object' && raw !== null && 'ctxs' in raw) {
    const { question, answers, ctxs } = readRecord(file, index, passagesOnly);
    const needed = ctxs.map(({ title, text }, i) => ({
      about: title === '' ? `Passage ${i + 1}` : title,
      text,
      evidence: [],
    }));
    return { question, references: answers, needed, own: [], meta: { support: 'not marked' } };
  }
  const record = readRecord(file, index, official);
  const { question, answer, answer_aliases: aliases, paragraphs, question_decomposition: steps } = record;
  const inOrder = steps.flatMap(({ paragraph_support_idx: at }) =>
    typeof at === 'number' && paragraphs[at] ? [paragraphs[at]] : [],
  );
  const supporting = [...new Set([...inOrder, ...paragraphs.filter(({ is_supporting: is }) => is)])];
  const needed = supporting.map(
    ({ title, paragraph_text: text }): NeededDocument => ({
      about: title,
      text,
      evidence: [{ start: 0, end: text.length }],
    }),
  );
  const own = paragraphs
    .filter((paragraph) => !supporting.includes(paragraph))
    .map(({ title, paragraph_text: text }) => ({ about: title, text }));
  return {
    question,
    references: [...new Set([answer, ...aliases])],
    needed,
    own,
    meta: { hops: Math.max(steps.length, needed.length) },
  };
};
