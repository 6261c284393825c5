import { govReport } from './govreport.js';
import { HELMET_BOOK_TASKS } from './helmet-books.js';
import { HELMET_CITE_TASKS } from './helmet-cite.js';
import { HELMET_ICL_TASKS } from './helmet-icl.js';
import { HELMET_RAG_TASKS } from './helmet-rag.js';
import { helmetJsonKv } from './helmet-recall.js';
import { helmetRerank } from './helmet-rerank.js';
import { INFINITEBENCH_TASKS } from './infinitebench.js';
import { LONGBENCH_TASKS } from './longbench.js';
import { longBenchV2 } from './longbench-v2.js';
import { longMemEval } from './longmemeval.js';
import { qmsum } from './qmsum.js';
import { textPerplexity } from './text-perplexity.js';

/** Tasks over published sets of long texts. */
export const LONG_SETS = [
  ...LONGBENCH_TASKS,
  longBenchV2,
  ...INFINITEBENCH_TASKS,
  longMemEval,
  qmsum,
  govReport,
  textPerplexity,
  helmetJsonKv,
  ...HELMET_RAG_TASKS,
  helmetRerank,
  ...HELMET_CITE_TASKS,
  ...HELMET_ICL_TASKS,
  ...HELMET_BOOK_TASKS,
] as const;
