import { defineCommand } from '../command.js';
import { choice, json, required } from '../flags.js';

export const list = defineCommand({
  name: 'list',
  summary: 'Show which suites, tasks, methods, models or datasets there are.',
  positionals: { what: required(choice('What to list.', ['suites', 'tasks', 'methods', 'models', 'datasets'])) },
  required: 1,
  flags: { json },
  examples: [['$0 list methods', 'every method with its family and budget axis']],
  async run({ what, json: asJson }, terminal) {
    terminal.printJson({ what, asJson });
    return 0;
  },
});
