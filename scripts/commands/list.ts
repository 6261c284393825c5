import { defineCommand } from '../command.js';
import { choice, json, required } from '../flags.js';

const kinds = ['suites', 'tasks', 'methods', 'models', 'datasets'] as const;

export const list = defineCommand({
  name: 'list',
  summary: 'Show which suites, tasks, methods, models or datasets there are.',
  positionals: { what: required(choice('What to list.', kinds)) },
  required: 1,
  flags: { json },
  examples: [
    ['$0 list methods', 'every method with its family, budget axis and paper'],
    ['$0 list tasks --json', 'with default parameters and sources'],
  ],
  async run({ what, json: asJson }, terminal) {
    const [listing, { alignColumns }] = await Promise.all([import('../listing.js'), import('../columns.js')]);
    const rows = await listing.listings[what]();
    if (asJson) terminal.printJson(rows.map(({ data }) => data));
    else if (rows.length === 0) terminal.note(listing.nothing[what]);
    else terminal.print(alignColumns(rows.map(({ columns }) => columns)));
    return 0;
  },
});
