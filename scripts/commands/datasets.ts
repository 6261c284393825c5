import { WinnowError } from '../../core/errors.js';
import { suggestName } from '../../core/nearest-name.js';
import { defineCommand } from '../command.js';
import { choice, json, length, required, text, whole } from '../flags.js';

export const datasets = defineCommand({
  name: 'datasets',
  summary: 'Show one sample of a task as the model gets it, with the evidence that the answer needs.',
  positionals: {
    action: required(choice('What to do.', ['show'])),
    task: required(text('A task: see winnow list tasks.', 'TASK')),
  },
  required: 2,
  flags: {
    length: length('Longest prompt in tokens, room for the answer included. Default 1k.'),
    sample: whole('Index of the sample. Default 0.', 'I', 0),
    seed: whole('Seed. Default 0.', 'N', 0),
    model: text('The model whose tokens count. Default: the default model.', 'M'),
    json,
  },
  examples: [
    ['$0 datasets show niah_single_1 --length 1k', 'the prompt as text, the evidence after it'],
    ['$0 datasets show vt --length 4k --sample 3 --json', '{prompt, promptTokens, evidence, references}'],
  ],
  async run(values, terminal) {
    const [{ findTask, taskIds }, { findOrPullModel }, { createTokenMeter }, { loadTokenizer }] = await Promise.all([
      import('../../suites/index.js'),
      import('../open-model.js'),
      import('../../engine/prompt-meter.js'),
      import('../../engine/tokenizer.js'),
    ]);
    const task = findTask(values.task);
    if (task === undefined) {
      throw new WinnowError(
        'ERR_USAGE',
        'winnow datasets show',
        'a known task',
        values.task,
        suggestName(values.task, taskIds()),
      );
    }
    const model = await findOrPullModel(values.model, terminal);
    const meter = createTokenMeter(loadTokenizer(model.path), true);
    const index = values.sample ?? 0;
    const [sample] = task.generate({
      params: task.defaults,
      length: values.length ?? 1024,
      samples: index + 1,
      first: index,
      seed: values.seed ?? 0,
      meter,
    });
    if (sample === undefined) throw new WinnowError('ERR_INTERNAL', task.id, `sample ${index}`, 'none');
    const { context, question, answerPrefix, evidence, references, documents, meta, id } = sample;
    const promptTokens = meter.countPrompt(sample);
    if (values.json) {
      const prompt = `${context}${question}${answerPrefix}`;
      terminal.printJson({
        prompt,
        promptTokens,
        evidence,
        references,
        context,
        question,
        answerPrefix,
        documents,
        meta,
        sampleId: id,
      });
      return 0;
    }
    terminal.print(`${context}${question}\n${answerPrefix}`);
    terminal.note(
      `\n${promptTokens} tokens with the chat template of ${model.id}; the answer: ${references.join(', ')}`,
    );
    for (const { start, end } of evidence)
      terminal.note(`evidence ${start}–${end}: ${JSON.stringify(context.slice(start, end))}`);
    return 0;
  },
});
