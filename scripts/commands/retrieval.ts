import { writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { WinnowError } from '../../core/errors.js';
import { suggestName } from '../../core/nearest-name.js';
import { defineCommand } from '../command.js';
import { flag, fraction, json, length, names, required, text, whole } from '../flags.js';
import type { RetrievalRow } from '../retrieval-output.js';

export const retrieval = defineCommand({
  name: 'retrieval',
  summary: 'Judge what methods that choose documents find: ranking, evidence and pieces, without a language model.',
  positionals: {
    what: required(text('A task, or a folder in the layout of BEIR, LMEB, LoCo or BrowseComp-Plus.', 'WHAT')),
  },
  required: 1,
  flags: {
    method: names('Methods of the family context. Default: all of them.', 'NAME'),
    keptFraction: fraction('Fraction of the tokens that a method may feed.'),
    tokenBudget: whole('Tokens that a method may feed. Default 1024.', 'N', 1),
    samples: whole('Samples of a task, or the first queries of a folder. Default 50; all of a folder.', 'N', 1),
    length: length('Longest prompt of a task in tokens. Default 4k.'),
    cut: flag('Give methods one text instead of documents, so that they cut it into pieces themselves.'),
    seed: whole('Seed of a task. Default 0.', 'N', 0),
    split: text(
      'Judgements of a folder: test of qrels/test.tsv, or evidence of qrel_evidence.txt. Default test.',
      'NAME',
    ),
    model: text('The model whose tokens count. Default: the default model.', 'M'),
    csv: text('Also write the rows to a file.', 'FILE'),
    json,
  },
  examples: [
    ['$0 retrieval world_2_hop --length 4k --samples 100', 'nDCG@10, recall, evidence precision of every method'],
    ['$0 retrieval ./scifact --method bm25-top-k --json', 'the same on a folder in the layout of BEIR'],
    ['$0 retrieval two_hop_qa --cut', 'how methods cut a text into pieces'],
  ],
  async run(values, terminal) {
    if (values.keptFraction !== undefined && values.tokenBudget !== undefined)
      throw new WinnowError(
        'ERR_USAGE',
        '--token-budget',
        'one budget',
        '--kept-fraction too',
        'Give only one of them.',
      );
    const [{ findOrPullModel }, { openPromptServices }, { bindMethod }, { methodRef, resolveMethod }, output] =
      await Promise.all([
        import('../open-model.js'),
        import('../../engine/prompt-services.js'),
        import('../../engine/core/settings.js'),
        import('../../methods/load.js'),
        import('../retrieval-output.js'),
      ]);
    const { methods } = await import('../../methods/index.js');
    const { evaluateRetrieval, summariseRetrieval } = await import('../../suites/retrieval/index.js');
    const model = await findOrPullModel(values.model, terminal);
    const wanted = values.method ?? methods.filter(({ family }) => family === 'context').map(({ id }) => id);
    const budget =
      values.keptFraction === undefined
        ? { tokenBudget: values.tokenBudget ?? 1024 }
        : { keptFraction: values.keptFraction };
    const services = openPromptServices(model.path, model, () => terminal.signal.throwIfAborted());
    try {
      const rows: RetrievalRow[] = [];
      const set = await setOf(values, model.path);
      for (const word of wanted) {
        const bound = await bindMethod(methodRef(word), resolveMethod);
        const queries = [];
        const started = performance.now();
        for await (const query of evaluateRetrieval({
          set,
          bound,
          model: services.facts,
          budget,
          seed: values.seed ?? 0,
          openServices: services.open,
          signal: terminal.signal,
        }))
          queries.push(query);
        if (queries.length === 0)
          throw new WinnowError('ERR_DATASET_FORMAT', values.what, 'at least one query', 'none');
        const elapsedMs = performance.now() - started;
        rows.push({ set: set.id, method: bound.method.id, budget, elapsedMs, summary: summariseRetrieval(queries) });
      }
      if (values.csv !== undefined) writeFileSync(values.csv, output.retrievalCsv(rows));
      if (values.json) terminal.printJson(rows);
      else terminal.print(output.retrievalTable(rows));
      return 0;
    } finally {
      await services.close();
    }
  },
});

interface SetFlags {
  readonly what: string;
  readonly samples: number | undefined;
  readonly length: number | undefined;
  readonly cut: boolean;
  readonly seed: number | undefined;
  readonly split: string | undefined;
}

const setOf = async ({ what, samples, length: tokens, cut, seed, split }: SetFlags, modelPath: string) => {
  const { findTask, taskIds } = await import('../../suites/index.js');
  const { retrievalOfFolder, retrievalOfSamples } = await import('../../suites/retrieval/index.js');
  const task = findTask(what);
  if (task === undefined) {
    if ((await stat(what).catch(() => undefined))?.isDirectory() === true)
      return retrievalOfFolder(what, {
        split: split ?? 'test',
        ...(samples === undefined ? {} : { queries: samples }),
      });
    throw new WinnowError('ERR_USAGE', 'winnow retrieval', 'a task or a folder', what, suggestName(what, taskIds()));
  }
  const [{ createTokenMeter }, { loadTokenizer }] = await Promise.all([
    import('../../engine/prompt-meter.js'),
    import('../../engine/tokenizer.js'),
  ]);
  const made = task.generate({
    params: task.defaults,
    length: tokens ?? 4096,
    samples: samples ?? 50,
    seed: seed ?? 0,
    meter: createTokenMeter(loadTokenizer(modelPath), true),
  });
  // Once for all methods.
  return retrievalOfSamples(task.id, [...made], cut);
};
