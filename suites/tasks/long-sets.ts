import { HELMET_CITE_TASKS } from './helmet-cite.js';
import { HELMET_RAG_TASKS } from './helmet-rag.js';
import { helmetRerank } from './helmet-rerank.js';
import { INFINITEBENCH_TASKS } from './infinitebench.js';
import { LONGBENCH_TASKS } from './longbench.js';
import { longBenchV2 } from './longbench-v2.js';
import { longMemEval } from './longmemeval.js';

/** Tasks over published sets of long texts. */
export const LONG_SETS = [
  ...LONGBENCH_TASKS,
  longBenchV2,
  ...INFINITEBENCH_TASKS,
  longMemEval,
  ...HELMET_RAG_TASKS,
  helmetRerank,
  ...HELMET_CITE_TASKS,
] as const;
