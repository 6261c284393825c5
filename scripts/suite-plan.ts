import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { openDatasets } from '../datasets/index.js';
import { openCheckpoint } from '../engine/checkpoint.js';
import type { OpenOptions } from '../engine/contract.js';
import { modelFacts } from '../engine/core/load.js';
import type { ResolvedModel } from '../engine/models.js';
import { isRandomModel, parameterCount, randomModel } from '../engine/random-model.js';
import type { ModelFacts } from '../methods/contract.js';
import { type LoadedSuite, loadSuite, type Plan, planSuite } from '../suites/index.js';
import { loadMethodFacts, type MethodFacts } from '../suites/method-facts.js';
import { datasetIdentity, datasetsOfTask, fetchDatasets, type RunDataset } from '../suites/run-datasets.js';
import type { Values } from './command.js';
import { findOrPullModel, openOptionsOf, pulling } from './open-model.js';
import type { suiteFlags } from './suite-flags.js';
import type { Terminal } from './terminal.js';

export interface PlannedSuite {
  readonly loaded: LoadedSuite;
  readonly model: ResolvedModel & { readonly bytes: number };
  readonly options: OpenOptions;
  readonly plan: Plan;
  /** Data that the tasks read, as far as it was pulled. */
  readonly datasets: readonly RunDataset[];
  factsOf(method: Plan['cells'][number]['method']): MethodFacts;
}

export interface PlanLoadedOptions {
  readonly options: OpenOptions;
  /** Licences that the user accepts. */
  readonly accepted?: readonly string[] | undefined;
  /** Before samples are made: what the tasks cannot do without is fetched. */
  readonly fetchData?: boolean;
}

/** What a suite and the flags come to. Reads the model's headers, no weights. Nothing is written but a fetched model and, with `fetchData`, datasets that tasks need. */
export const planFromFlags = async (
  suiteWord: string,
  values: Values<typeof suiteFlags>,
  terminal: Terminal,
  { fetchData = false }: Pick<PlanLoadedOptions, 'fetchData'> = {},
): Promise<PlannedSuite> => {
  const loaded = await loadSuite(suiteWord, {
    model: values.model,
    tasks: values.task,
    lengths: values.length,
    methods: values.method,
    keptFractions: values.keptFraction,
    tokenBudgets: values.tokenBudget,
    protocols: values.protocol,
    samples: values.samples,
    limit: values.limit,
    seed: values.seed,
    superiority: values.superiority,
    batch: values.batch,
    memoryBytes: values.memory,
    chatTemplate: values.chatTemplate === undefined ? undefined : values.chatTemplate === 'on',
  });
  return planLoaded(loaded, { options: openOptionsOf(values), accepted: values.acceptLicence, fetchData }, terminal);
};

/** The same of a suite that is resolved already. */
export const planLoaded = async (
  loaded: LoadedSuite,
  { options, accepted, fetchData = false }: PlanLoadedOptions,
  terminal: Terminal,
): Promise<PlannedSuite> => {
  const { suite } = loaded;
  const model = await findOrPullModel(suite.model, terminal, accepted);
  const facts = readFacts(model, options);
  const factsOf = await loadMethodFacts(suite.methods, facts, suite.protocols);
  if (fetchData) await pulling(terminal, (onProgress) => fetchDatasets(suite.tasks, onProgress));
  const open = openDatasets();
  const datasets = new Map(suite.tasks.map((task) => [task.name, datasetsOfTask(task, open)]));
  const plan = planSuite(suite, {
    modelSha256: model.sha256,
    numerics: options.numerics,
    model: facts,
    identity: { backend: options.backend },
    facts: (method) => factsOf(method).plan,
    datasets: ({ name }) => datasetIdentity(datasets.get(name) ?? []),
  });
  const read = [...new Map([...datasets.values()].flat().map((one) => [`${one.dataset}/${one.file}`, one])).values()];
  return { loaded, datasets: read, model: { ...model, bytes: sizeOf(model.path) }, options, plan, factsOf };
};

const readFacts = ({ path: file, id, sha256 }: ResolvedModel, { numerics, backend }: OpenOptions): ModelFacts => {
  const checkpoint = openCheckpoint(file);
  try {
    // An estimate only: machines without bf16 products keep 4 bytes in native numerics too.
    return modelFacts(checkpoint, id, sha256, numerics === 'reference' || backend === 'ort' ? 4 : 2);
  } finally {
    checkpoint.close();
  }
};

const sizeOf = (file: string): number => {
  if (isRandomModel(file)) return 2 * parameterCount(randomModel(file).config);
  const stat = statSync(file);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(file).reduce((sum, name) => sum + statSync(path.join(file, name)).size, 0);
};
