import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import type { DatasetFile } from '../../datasets/index.js';
import type { Task } from '../contract.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { hotpotRecord } from './hotpot-records.js';
import { otherRecords, type QuestionPlan, questionSample } from './question-record.js';
import { rulerSource } from './ruler.js';
import { openIfThere, RECORDS_FIELDS, type RecordsParams, recordIndex } from './set-records.js';
import { type SquadQuestion, squadParagraphs, squadQuestions, squadRecord } from './squad-records.js';
import { WORLD_TASKS } from './world-qa.js';

export interface RulerQaParams extends RecordsParams {
  /** The published set, the generated world, or the set where it was pulled and the world otherwise. `meta.source` of a sample says which. */
  readonly source: 'auto' | 'dataset' | 'world';
}

interface Definition {
  readonly id: 'qa_1' | 'qa_2';
  readonly description: string;
  readonly dataset: string;
  /** The task of the generated world that stands in. */
  readonly stand: 'world_1_hop' | 'world_2_hop';
  size(file: DatasetFile): number;
  plan(file: DatasetFile, order: SampleOrder<RulerQaParams>): QuestionPlan;
}

const LAYOUT = { context: 'full', order: 'random', gap: 0 } as const;
const INSTRUCTION =
  'Answer the question at the end from the following documents. Give only the answer and nothing else.\n\n';

/**
 * RULER's question answering: the paragraphs that answer a question of SQuAD 2.0 (qa_1) or HotpotQA (qa_2) among other paragraphs of the
 * set, of the same article first. Upstream puts the paragraphs that answer at one place for all samples of a length; here each sample
 * draws its places. Wording is ours.
 */
const rulerQa = ({ id, description, dataset, stand, size, plan }: Definition): Task<RulerQaParams> => {
  const world = WORLD_TASKS.find((task) => task.id === stand)!;
  const fileOf = (
    { source }: RulerQaParams,
    datasets: SampleOrder<RulerQaParams>['datasets'],
  ): DatasetFile | undefined =>
    source === 'world' ? undefined : source === 'dataset' ? datasets(dataset) : openIfThere(datasets, dataset);
  return defineTask<RulerQaParams>({
    id,
    family: 'retrieval-qa',
    description,
    source: rulerSource,
    version: 1,
    scorer: 'ruler/string_match_part',
    datasetsOf: ({ source }) =>
      source === 'world' ? {} : source === 'dataset' ? { needed: [dataset] } : { wanted: [dataset] },
    maxNewTokens: 32,
    parameters: z.strictObject({ source: z.enum(['auto', 'dataset', 'world']).default('auto'), ...RECORDS_FIELDS }),
    size({ params, datasets }) {
      const file = fileOf(params, datasets);
      return file === undefined ? Number.POSITIVE_INFINITY : size(file);
    },
    makeSample(order) {
      const file = fileOf(order.params, order.datasets);
      const made =
        file === undefined
          ? worldOf(world, order)
          : questionSample(id, { ...order, params: LAYOUT }, plan(file, order));
      return { ...made, meta: { ...made.meta, source: file === undefined ? 'world' : dataset } };
    },
  });
};

const worldOf = (world: (typeof WORLD_TASKS)[number], { index, params: _, ...order }: SampleOrder<RulerQaParams>) => {
  const [sample] = world.generate({ ...order, params: world.defaults, samples: index + 1, first: index });
  const { id: _id, maxNewTokens: _most, ...made } = sample!;
  return made;
};

export const RULER_QA_TASKS = [
  rulerQa({
    id: 'qa_1',
    description:
      'A question answered by one paragraph among many (SQuAD where it was pulled, else the generated world).',
    dataset: 'squad-v2',
    stand: 'world_1_hop',
    size: (file) => file.derived(squadQuestions).length,
    plan(file, { params, seed, index, length }) {
      const questions = file.derived(squadQuestions);
      const asked: SquadQuestion = questions[recordIndex(params, questions.length, seed, index)]!;
      const paragraphs = file.derived(squadParagraphs);
      const random = createRandom(seed, 'qa_1 others', length, index);
      const { own, ...record } = squadRecord(file, asked);
      return {
        ...record,
        own: random.shuffle(own),
        instruction: INSTRUCTION,
        more: otherRecords(paragraphs.length, asked.article, random, (article) => random.shuffle(paragraphs[article]!)),
      };
    },
  }),
  rulerQa({
    id: 'qa_2',
    description:
      'A two-hop question answered by two paragraphs among many (HotpotQA where it was pulled, else the generated world).',
    dataset: 'hotpotqa',
    stand: 'world_2_hop',
    size: (file) => file.size,
    plan(file, { params, seed, index, length }) {
      const at = recordIndex(params, file.size, seed, index);
      const random = createRandom(seed, 'qa_2 others', length, index);
      const documentsOf = (other: number) => {
        const { needed, own } = hotpotRecord(file, other);
        return [...needed.map(({ about, text }) => ({ about, text })), ...own];
      };
      return {
        ...hotpotRecord(file, at),
        instruction: INSTRUCTION,
        more: otherRecords(file.size, at, random, documentsOf),
      };
    },
  }),
] as const;
