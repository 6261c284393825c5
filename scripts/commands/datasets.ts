import { defineCommand } from '../command.js';
import { licenceFlag } from '../engine-flags.js';
import { choice, json, length, required, text, whole } from '../flags.js';

export const datasets = defineCommand({
  name: 'datasets',
  summary: 'Fetch a dataset, check it, show one sample of a task as the model gets it, or write samples to a file.',
  positionals: {
    action: required(choice('What to do.', ['pull', 'verify', 'show', 'generate'])),
    name: required(text('pull, verify: a dataset, see winnow list datasets. show, generate: a task.', 'NAME')),
  },
  required: 2,
  flags: {
    from: text('A folder that has the files of the dataset, or one file of your own, instead of the network.', 'PATH'),
    length: length('show, generate: longest prompt in tokens, room for the answer included. Default 1k.'),
    sample: whole('show: index of the sample. Default 0.', 'I', 0),
    samples: whole('generate: how many samples. Default 10.', 'N', 1),
    seed: whole('show, generate: seed. Default 0.', 'N', 0),
    params: text('show, generate: parameters of the task as JSON. Default: its own.', 'JSON'),
    model: text('show, generate: the model whose tokens count. Default: the default model.', 'M'),
    out: text('generate: the file, one JSON object a line.', 'FILE'),
    ...licenceFlag,
    json,
  },
  examples: [
    ['$0 datasets pull hotpotqa', 'into the cache, checked by its hash'],
    ['$0 datasets pull hotpotqa --from ./downloads', 'the same from a folder, without a network'],
    ['$0 datasets verify hotpotqa', 'hashes the files anew'],
    ['$0 datasets show niah_single_1 --length 1k', 'the prompt, with the evidence marked'],
    ['$0 datasets show vt --length 4k --sample 3 --json', '{prompt, promptTokens, evidence, references}'],
    ['$0 datasets generate vt --length 4k --samples 50 --out vt.jsonl', 'samples as lines, with their sha256'],
  ],
  async run(values, terminal) {
    const { action, name, acceptLicence } = values;
    switch (action) {
      case 'pull':
      case 'verify': {
        const { pullForPeople, verifyForPeople } = await import('../datasets-files.js');
        const files = { id: name, from: values.from, acceptLicence, json: values.json };
        return action === 'pull' ? pullForPeople(files, terminal) : verifyForPeople(files, terminal);
      }
      case 'show':
      case 'generate': {
        const { generateSamples, showSample } = await import('../datasets-samples.js');
        const order = { ...values, task: name };
        return action === 'show' ? showSample(order, terminal) : generateSamples(order, terminal);
      }
    }
  },
});
