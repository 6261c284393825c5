/** What `winnow list` shows: a line for people and the whole record for scripts. */
export interface Listed {
  readonly columns: readonly string[];
  readonly data: Readonly<Record<string, unknown>>;
}

const listSuites = async (): Promise<Listed[]> => {
  const suites = await import('../suites/index.js');
  return suites.listSuites().map((suite) => ({
    columns: [suite.id, `v${suite.version}`, suite.question],
    data: { ...suite },
  }));
};

const listTasks = async (): Promise<Listed[]> => {
  const { tasks } = await import('../suites/index.js');
  return tasks().map((task) => ({
    columns: [task.id, task.family, task.description],
    data: {
      id: task.id,
      family: task.family,
      version: task.version,
      description: task.description,
      scorer: task.scorer,
      defaults: task.defaults,
      ...(task.maxNewTokens === undefined ? {} : { maxNewTokens: task.maxNewTokens }),
      source: task.source,
      ...(task.datasets === undefined ? {} : { datasets: task.datasets }),
    },
  }));
};

const listMethods = async (): Promise<Listed[]> => {
  const [{ methods }, { parseParams }] = await Promise.all([
    import('../methods/index.js'),
    import('../methods/params.js'),
  ]);
  return methods.map((method) => ({
    columns: [method.id, method.family, method.budgetAxis, citation(method.source)],
    data: {
      id: method.id,
      name: method.name,
      family: method.family,
      budgetAxis: method.budgetAxis,
      budgetControl: method.budgetControl,
      control: method.control ?? false,
      simulated: method.simulated ?? false,
      training: method.training,
      parameters: parseParams(method),
      source: method.source,
      deviations: method.deviations,
    },
  }));
};

const citation = ({ title, arxiv }: { readonly title: string; readonly arxiv?: string }): string =>
  arxiv === undefined ? title : `${title} (arXiv ${arxiv})`;

const listModels = async (): Promise<Listed[]> => {
  const { defaultModelId, findModel, modelManifest } = await import('../engine/models.js');
  const { encoderManifest, findEncoder } = await import('../engine/encoder/manifest.js');
  const encoders = encoderManifest.map(async (entry): Promise<Listed> => {
    const { id, title, licence, homepage, files } = entry;
    const cached = await findEncoder(entry);
    return {
      columns: [id, megabytes(sum(files.map(({ bytes }) => bytes))), stateOf(cached), `${title} (encoder)`],
      data: { id, kind: 'encoder', title, licence, homepage, files, isDefault: false, path: cached?.path ?? null },
    };
  });
  const models = modelManifest.map(async ({ id, title, licence, homepage, file }): Promise<Listed> => {
    const cached = await findModel(id);
    const isDefault = id === defaultModelId;
    return {
      columns: [id, megabytes(file.bytes), stateOf(cached), `${title}${isDefault ? ' (default)' : ''}`],
      data: { id, kind: 'decoder', title, licence, homepage, file, isDefault, path: cached?.path ?? null },
    };
  });
  return Promise.all([...models, ...encoders]);
};

const listDatasets = async (): Promise<Listed[]> => {
  const { datasetEntry, datasetFolder, datasetIds, datasetState } = await import('../datasets/index.js');
  return datasetIds().map((id) => {
    const { title, licence, terms, homepage, note, files } = datasetEntry(id);
    const state = datasetState(id);
    const bytes = files.every((file) => file.bytes !== undefined)
      ? sum(files.map((file) => file.bytes ?? 0))
      : undefined;
    return {
      columns: [id, bytes === undefined ? 'size not known' : megabytes(bytes), state, `${title} (${licence})`],
      data: { id, title, licence, terms, homepage, note, files, bytes, state, folder: datasetFolder(id) },
    };
  });
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const stateOf = (cached: object | undefined): string => (cached === undefined ? 'not fetched' : 'fetched');

export const listings = {
  suites: listSuites,
  tasks: listTasks,
  methods: listMethods,
  models: listModels,
  datasets: listDatasets,
} as const;

export const nothing: Readonly<Record<keyof typeof listings, string>> = {
  suites: 'No suites in suites/.',
  tasks: 'No tasks.',
  methods: 'No methods.',
  models: 'No models in the manifest.',
  datasets: 'No datasets in the manifest.',
};
