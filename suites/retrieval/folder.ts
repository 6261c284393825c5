/** Retrieval sets in a folder, as BEIR, LMEB, LoCo and BrowseComp-Plus lay them out; docs/suites.md shows the layouts. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { WinnowError } from '../../core/errors.js';
import type { RetrievalDocument, RetrievalQuery, RetrievalSet } from './contract.js';
import { broken, recordsOf } from './folder-records.js';
import { gradesInQuery, type Judgements, readCandidates, readJudgements } from './judgements.js';

export interface FolderOptions {
  /** Which judgements: `qrels/<split>.tsv`, `qrel_<split>.txt`. */
  readonly split: string;
  /** Only so many queries, in the file's order. */
  readonly queries?: number;
}

/**
 * Reads corpus, queries and judgements at once; documents are `title text`, as BEIR and LMEB feed them. Queries without a judgement are
 * left out, as trec_eval does. Where documents and queries name their `dataset` (LoCo), each dataset is a corpus of its own.
 *
 * Throws ERR_MISSING for a file that every layout needs, and ERR_DATASET_FORMAT with file and line for a record that lacks a field.
 */
export const retrievalOfFolder = (folder: string, { split, queries: most }: FolderOptions): RetrievalSet => {
  const corpora = readCorpora(findFile(folder, ['corpus', 'documents'], 'documents'));
  const asked = readQueries(findFile(folder, ['queries'], 'queries'));
  const judged = readJudgements(folder, split);
  const candidates = readCandidates(join(folder, 'candidates.jsonl'));
  const queries = asked.flatMap((query) => {
    const grades = judged?.get(query.id) ?? gradesInQuery(query.record, split);
    if (grades === undefined) return [];
    const corpus = corpora.get(query.dataset);
    if (corpus === undefined) throw broken(query.where, 'documents of the same dataset', query.dataset);
    return [queryOver(query, corpus, grades, candidates)];
  });
  if (queries.length === 0)
    throw broken(
      folder,
      `queries with judgements of ${split}`,
      `${asked.length} queries without one`,
      'Choose with --split.',
    );
  // Queries over one corpus stand together, so that it is indexed once.
  const together = [...corpora.values()].flatMap(({ documents }) =>
    queries.filter((query) => query.documents === documents),
  );
  return { id: basename(folder), queries: together.slice(0, most) };
};

interface FolderCorpus {
  readonly documents: RetrievalDocument[];
  readonly places: Map<string, number>;
}

interface FolderQuery {
  readonly id: string;
  readonly question: string;
  readonly dataset: string;
  readonly record: Readonly<Record<string, unknown>>;
  readonly where: string;
}

const queryOver = (
  { id, question }: FolderQuery,
  { documents, places }: FolderCorpus,
  grades: Judgements,
  candidates: ((queryId: string) => readonly string[] | undefined) | undefined,
): RetrievalQuery => {
  const placed = [...grades].flatMap(([document, grade]) => {
    const found = documents[places.get(document) ?? -1];
    return found === undefined || grade <= 0
      ? []
      : [{ start: found.start, end: found.start + found.text.length, grade }];
  });
  const lacking = [...grades]
    .filter(([document, grade]) => grade > 0 && !places.has(document))
    .map(([, grade]) => grade);
  const allowed = candidates?.(id);
  return {
    id,
    question,
    documents,
    relevant: placed,
    lacking,
    ...(allowed === undefined
      ? {}
      : { candidates: new Set(allowed.flatMap((document) => documents[places.get(document) ?? -1]?.start ?? [])) }),
  };
};

const readCorpora = (file: string): Map<string, FolderCorpus> => {
  const corpora = new Map<string, FolderCorpus & { length: number }>();
  for (const { record, where } of recordsOf(file)) {
    const id = textField(record, ['_id', 'id', 'docid', 'pid'], where);
    const body = textField(record, ['text', 'passage'], where);
    const dataset = typeof record.dataset === 'string' ? record.dataset : '';
    const text = typeof record.title === 'string' && record.title !== '' ? `${record.title} ${body}` : body;
    let corpus = corpora.get(dataset);
    if (corpus === undefined) {
      corpus = { documents: [], places: new Map(), length: 0 };
      corpora.set(dataset, corpus);
    }
    if (corpus.places.has(id)) throw broken(where, 'an id of its own for every document', id);
    // An empty document can never be found, and a span without characters is none.
    if (text.trim() === '') continue;
    corpus.places.set(id, corpus.documents.length);
    corpus.documents.push({ text, start: corpus.length });
    corpus.length += text.length;
  }
  return corpora;
};

const readQueries = (file: string): FolderQuery[] =>
  recordsOf(file).map(({ record, where }) => ({
    id: textField(record, ['_id', 'id', 'query_id', 'qid'], where),
    question: textField(record, ['text', 'query'], where),
    dataset: typeof record.dataset === 'string' ? record.dataset : '',
    record,
    where,
  }));

/** The first of several names for a field; numbers count as ids. */
const textField = (record: Readonly<Record<string, unknown>>, fields: readonly string[], where: string): string => {
  for (const field of fields) {
    const value = record[field];
    if (typeof value === 'string') return value;
    if (typeof value === 'number') return String(value);
  }
  throw broken(where, `a text ${fields.join(' or ')}`, Object.keys(record).join(', '));
};

const findFile = (folder: string, bases: readonly string[], what: string): string => {
  const names = bases.flatMap((base) => [`${base}.jsonl`, `${base}.jsonl.gz`]);
  const found = names.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new WinnowError(
    'ERR_MISSING',
    folder,
    `${what}: ${names.join(' or ')}`,
    'none',
    'See docs/suites.md for the layouts.',
  );
};
