/** Records in the layout of HotpotQA, which 2WikiMultihopQA shares, in the spellings that its copies have. */
import { z } from 'zod';
import type { DatasetFile } from '../../datasets/index.js';
import type { TextSpan } from '../../methods/contract.js';
import type { QuestionRecord } from './question-record.js';
import { readRecord } from './read-record.js';
import type { NeededDocument } from './world-sample.js';

/** Lists of pairs as upstream writes them; tables and objects as copies on the hub do; either of them as a JSON text. */
const parsed = (value: unknown): unknown => {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
};
const pairs = (first: string, seconds: readonly string[]) => (value: unknown) => {
  const list = parsed(value);
  if (Array.isArray(list))
    return list.map((item: unknown) => {
      if (Array.isArray(item) || typeof item !== 'object' || item === null) return item;
      const fields = item as Record<string, unknown>;
      return [fields[first], seconds.map((name) => fields[name]).find((field) => field !== undefined)];
    });
  if (typeof list !== 'object' || list === null) return list;
  const columns = list as Record<string, unknown>;
  const [names, others] = [columns[first], seconds.map((name) => columns[name]).find((column) => column !== undefined)];
  return Array.isArray(names) && Array.isArray(others) ? names.map((name, i) => [name, others[i]]) : list;
};

/** Some copies put the score of their retriever behind the sentences. */
const sentences = z.union([
  z.array(z.string()),
  z.tuple([z.array(z.string()), z.number()]).transform(([list]) => list),
]);

const recordSchema = z.object({
  question: z.string().min(1),
  answer: z.string().min(1),
  type: z.string().optional(),
  level: z.string().optional(),
  context: z.preprocess(pairs('title', ['sentences', 'content']), z.array(z.tuple([z.string(), sentences])).min(1)),
  supporting_facts: z.preprocess(pairs('title', ['sent_id']), z.array(z.tuple([z.string(), z.number()])).min(1)),
});

/** A record in one spelling. */
export type HotpotFields = z.output<typeof recordSchema>;

/** Throws: ERR_DATASET_FORMAT that names file, line and field. */
export const readHotpot = (file: DatasetFile, index: number): HotpotFields => readRecord(file, index, recordSchema);

/** Needed paragraphs in the order in which the supporting facts name them; evidence is the supporting sentences. */
export const hotpotRecord = (file: DatasetFile, index: number): QuestionRecord => {
  const { question, answer, type, level, context, supporting_facts: facts } = readHotpot(file, index);
  const documents = context.map(([title, sentences]) => ({ title, ...joinSentences(sentences) }));
  const titles = [...new Set(facts.map(([title]) => title))].filter((title) =>
    documents.some((document) => document.title === title),
  );
  const needed = titles.map((title): NeededDocument => {
    const { text, spans } = documents.find((document) => document.title === title)!;
    const named = [...new Set(facts.filter(([of]) => of === title).map(([, sentence]) => sentence))].sort(
      (a, b) => a - b,
    );
    const evidence = named.flatMap((sentence) => spans[sentence] ?? []);
    // Some facts name a sentence that the paragraph does not have; then all of it is what the set points at.
    return { about: title, text, evidence: evidence.length > 0 ? evidence : [{ start: 0, end: text.length }] };
  });
  const own = documents
    .filter(({ title }) => !titles.includes(title))
    .map(({ title, text }) => ({ about: title, text }));
  return {
    question,
    references: [answer],
    needed,
    own,
    meta: { ...(type === undefined ? {} : { type }), ...(level === undefined ? {} : { level }) },
  };
};

/** Sentences carry the space before them, or not; spans leave it out. Empty sentences have none. */
const joinSentences = (sentences: readonly string[]) => {
  let text = '';
  const spans: (TextSpan | undefined)[] = [];
  for (const sentence of sentences) {
    const trimmed = sentence.trim();
    if (trimmed === '') {
      spans.push(undefined);
      continue;
    }
    if (text !== '') text += ' ';
    spans.push({ start: text.length, end: text.length + trimmed.length });
    text += trimmed;
  }
  return { text, spans };
};
