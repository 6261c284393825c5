import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import type { DatasetFile } from '../../datasets/index.js';
import type { Task } from '../contract.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { hotpotRecord } from './hotpot-records.js';
import { musiqueRecord } from './musique-records.js';
import { ANSWER_ONLY, otherRecords, type QuestionRecord, questionSample } from './question-record.js';
import { RECORDS_FIELDS, type RecordsParams, recordIndex } from './set-records.js';
import { LAYOUT_FIELDS, type LayoutParams } from './world-layout.js';

export type SetParams = LayoutParams & RecordsParams;

interface MultiHopSet {
  readonly id: string;
  readonly dataset: string;
  readonly description: string;
  readonly source: Task['source'];
  read(file: DatasetFile, index: number): QuestionRecord;
}

/**
 * Multi-hop questions of a published set: the paragraphs that the answer needs among the set's own distractors and, for longer lengths,
 * paragraphs of its other questions (as RULER's qa_2 does); shorter lengths leave out distractors, never needed paragraphs. Wording is ours,
 * the scorer is SQuAD's F1 over answer and aliases, on the first line of the answer.
 */
const multiHopSet = ({ id, dataset, description, source, read }: MultiHopSet): Task<SetParams> =>
  defineTask<SetParams>({
    id,
    family: 'multi-hop',
    description,
    source,
    version: 1,
    scorer: 'squad/f1',
    datasets: [dataset],
    maxNewTokens: 32,
    parameters: z.strictObject({ ...LAYOUT_FIELDS, ...RECORDS_FIELDS }),
    size: ({ datasets }) => datasets(dataset).size,
    makeSample(order: SampleOrder<SetParams>) {
      const { params, seed, index, length } = order;
      const file = order.datasets(dataset);
      const at = recordIndex(params, file.size, seed, index);
      const documentsOf = (other: number) => {
        const { needed, own } = read(file, other);
        return [...needed.map(({ about, text }) => ({ about, text })), ...own];
      };
      return questionSample(id, order, {
        ...read(file, at),
        instruction: ANSWER_ONLY,
        more: otherRecords(file.size, at, createRandom(seed, `${id} others`, length, index), documentsOf),
        stop: ['\n'],
      });
    },
  });

export const MULTI_HOP_SETS = [
  multiHopSet({
    id: 'hotpotqa',
    dataset: 'hotpotqa',
    description: 'Two-hop questions over Wikipedia paragraphs, with supporting sentences.',
    source: {
      title: 'HotpotQA: A Dataset for Diverse, Explainable Multi-hop Question Answering',
      arxiv: '1809.09600',
      url: 'https://hotpotqa.github.io/',
      licence: 'CC BY-SA 4.0',
    },
    read: hotpotRecord,
  }),
  multiHopSet({
    id: '2wikimultihopqa',
    dataset: '2wikimultihopqa',
    description:
      'Two- to four-hop questions over Wikipedia paragraphs, made from templates, with supporting sentences.',
    source: {
      title: 'Constructing A Multi-hop QA Dataset for Comprehensive Evaluation of Reasoning Steps',
      arxiv: '2011.01060',
      url: 'https://github.com/Alab-NII/2wikimultihop',
      licence: 'Apache-2.0; texts CC BY-SA 3.0',
    },
    read: hotpotRecord,
  }),
  multiHopSet({
    id: 'musique',
    dataset: 'musique',
    description:
      'Two- to four-hop questions composed of single ones, over Wikipedia paragraphs, with aliases of the answers.',
    source: {
      title: 'MuSiQue: Multihop Questions via Single-hop Question Composition',
      arxiv: '2108.00573',
      url: 'https://github.com/StonyBrookNLP/musique',
      licence: 'CC BY 4.0',
    },
    read: musiqueRecord,
  }),
] as const;
