/** Which documents answer which queries, in the formats of BEIR, TREC and LMEB, or within the queries (LoCo, BrowseComp-Plus). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { broken, recordsOf } from './folder-records.js';

/** Document to grade. */
export type Judgements = ReadonlyMap<string, number>;

/** Query to judgements from the first of `qrels/<split>.tsv`, `qrels.tsv` and `qrel_<split>.txt`; undefined without any. */
export const readJudgements = (folder: string, split: string): ReadonlyMap<string, Judgements> | undefined => {
  const files = [join(folder, 'qrels', `${split}.tsv`), join(folder, 'qrels.tsv'), join(folder, `qrel_${split}.txt`)];
  const file = files.find((path) => existsSync(path));
  if (file === undefined) return undefined;
  const judged = new Map<string, Map<string, number>>();
  for (const [i, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue;
    const row = rowOf(line, `${file}:${i + 1}`, i === 0);
    if (row === undefined) continue;
    const grades = judged.get(row.query) ?? new Map<string, number>();
    grades.set(row.document, row.grade);
    judged.set(row.query, grades);
  }
  return judged;
};

/** `query document grade` between tabs, or TREC's `query iteration document grade`; the first line may hold names. */
const rowOf = (
  line: string,
  where: string,
  isFirst: boolean,
): { query: string; document: string; grade: number } | undefined => {
  const tabs = line.trim().split('\t');
  const fields = tabs.length === 3 ? tabs : line.trim().split(/\s+/);
  const [query, document] = fields.length === 4 ? [fields[0], fields[2]] : fields;
  const grade = Number(fields.at(-1));
  if (query !== undefined && document !== undefined && (fields.length === 3 || fields.length === 4)) {
    if (Number.isFinite(grade)) return { query, document, grade };
    if (isFirst) return undefined;
  }
  throw broken(where, 'query, document and grade between tabs, or the four columns of TREC', line);
};

/** LoCo's `answer_pids`; of BrowseComp-Plus the documents under `<split>_docs`, or `evidence_docs`. */
export const gradesInQuery = (record: Readonly<Record<string, unknown>>, split: string): Judgements | undefined => {
  const listed = record.answer_pids ?? record[`${split}_docs`] ?? record.evidence_docs;
  if (!Array.isArray(listed)) return undefined;
  const ids = listed.map((one: unknown) =>
    String(typeof one === 'object' && one !== null ? (one as { docid?: unknown }).docid : one),
  );
  return new Map(ids.map((id) => [id, 1]));
};

/**
 * LMEB's candidates: only these documents of a query's scene are ranked. A scene is named by the query's id or by its first two parts
 * between underscores. Undefined without the file.
 */
export const readCandidates = (file: string): ((queryId: string) => readonly string[] | undefined) | undefined => {
  if (!existsSync(file)) return undefined;
  const scenes = new Map<string, readonly string[]>();
  for (const { record, where } of recordsOf(file)) {
    const { scene_id: scene, candidate_doc_ids: ids } = record;
    if (scene === undefined || !Array.isArray(ids))
      throw broken(where, 'scene_id and candidate_doc_ids', Object.keys(record).join(', '));
    scenes.set(String(scene), ids.map(String));
  }
  return (queryId) => scenes.get(queryId) ?? scenes.get(queryId.split('_').slice(0, 2).join('_'));
};
