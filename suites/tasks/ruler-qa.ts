import { z } from 'zod';
import { createRandom } from '../../core/random.js';
import type { DatasetFile } from '../../datasets/index.js';
import type { Task } from '../contract.js';
import { type RulerQaSet, rulerQa, rulerQaWording } from '../sampling/ruler-qa.js';
import { defineTask, type SampleOrder, sampleOf } from './define-task.js';
import { hotpotRecord } from './hotpot-records.js';
import { otherRecords, type QuestionPlan, questionSample } from './question-record.js';
import { rulerSource, Sampling } from './ruler.js';
import { hotpotAsUpstream, squadAsUpstream } from './ruler-qa-sets.js';
import { openIfThere, RECORDS_FIELDS, type RecordsParams, recordIndex } from './set-records.js';
import { type SquadQuestion, squadParagraphs, squadQuestions, squadRecord } from './squad-records.js';
import { WORLD_TASKS } from './world-qa.js';

export interface RulerQaParams extends RecordsParams {
  /** The published set, the generated world, or the set where it was pulled and the world otherwise. `meta.source` of a sample says which. */
  readonly source: 'auto' | 'dataset' | 'world';
  /** `upstream` is over the published set alone, whose questions it takes in the file's order. */
  readonly sampling: Sampling;
}

interface Definition {
  readonly id: 'qa_1' | 'qa_2';
  readonly description: string;
  readonly dataset: string;
  /** The task of the generated world that stands in. */
  readonly stand: 'world_1_hop' | 'world_2_hop';
  size(file: DatasetFile): number;
  plan(file: DatasetFile, order: SampleOrder<RulerQaParams>): QuestionPlan;
  asUpstream(file: DatasetFile): RulerQaSet;
}

const LAYOUT = { context: 'full', order: 'random', gap: 0 } as const;
const INSTRUCTION = rulerQaWording.instruction;

/**
 * RULER's question answering: the paragraphs that answer a question of SQuAD 2.0 (qa_1) or HotpotQA (qa_2) among other paragraphs of the
 * set, of the same article first. Upstream puts the paragraphs that answer at one place for all samples of a length; here each sample
 * draws its places, but with `sampling: upstream`. Wording is ours.
 */
const rulerQaTask = ({ id, description, dataset, stand, size, plan, asUpstream }: Definition): Task<RulerQaParams> => {
  const world = WORLD_TASKS.find((task) => task.id === stand)!;
  const isOfSet = ({ source, sampling }: RulerQaParams): boolean => source === 'dataset' || sampling === 'upstream';
  const fileOf = (params: RulerQaParams, datasets: SampleOrder<RulerQaParams>['datasets']): DatasetFile | undefined =>
    params.source === 'world' ? undefined : isOfSet(params) ? datasets(dataset) : openIfThere(datasets, dataset);
  return defineTask<RulerQaParams>({
    id,
    family: 'retrieval-qa',
    description,
    source: rulerSource,
    version: 1,
    scorer: 'ruler/string_match_part',
    datasetsOf: (params) =>
      params.source === 'world' ? {} : isOfSet(params) ? { needed: [dataset] } : { wanted: [dataset] },
    maxNewTokens: 32,
    parameters: z
      .strictObject({
        source: z.enum(['auto', 'dataset', 'world']).default('auto'),
        sampling: Sampling,
        ...RECORDS_FIELDS,
      })
      .refine(({ source, sampling }) => source !== 'world' || sampling === 'independent', {
        path: ['sampling'],
        message: 'independent over the generated world: upstream samples the published set',
      }),
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
    *upstream(order) {
      const set = order.datasets(dataset).derived(asUpstream);
      for (const { units, documents, documentIds, ...prompt } of rulerQa(set, { task: id, ...order }))
        yield { ...sampleOf(prompt, { source: dataset, haystackUnits: units }), documents, documentIds };
    },
  });
};

const worldOf = (world: (typeof WORLD_TASKS)[number], { index, params: _, ...order }: SampleOrder<RulerQaParams>) => {
  const [sample] = world.generate({ ...order, params: world.defaults, samples: index + 1, first: index });
  const { id: _id, maxNewTokens: _most, ...made } = sample!;
  return made;
};

export const RULER_QA_TASKS = [
  rulerQaTask({
    id: 'qa_1',
    description:
      'A question answered by one paragraph among many (SQuAD where it was pulled, else the generated world).',
    dataset: 'squad-v2',
    stand: 'world_1_hop',
    size: (file) => file.derived(squadQuestions).length,
    asUpstream: squadAsUpstream,
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
  rulerQaTask({
    id: 'qa_2',
    description:
      'A two-hop question answered by two paragraphs among many (HotpotQA where it was pulled, else the generated world).',
    dataset: 'hotpotqa',
    stand: 'world_2_hop',
    size: (file) => file.size,
    asUpstream: hotpotAsUpstream,
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
