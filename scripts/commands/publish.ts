import { defineCommand } from '../command.js';
import { json, names, required, text } from '../flags.js';

export const publish = defineCommand({
  name: 'publish',
  summary:
    'Make a leaderboard from run directories: a static site that needs no server and no network. Runs that verify refuses are refused.',
  positionals: { dirs: required(names('Run directories, or folders that hold them.', 'DIR')) },
  required: 1,
  flags: {
    site: required(text('The folder to write; a site that was made before is replaced.', 'OUT')),
    title: text('Heading of the first page. Default: Winnow leaderboard.', 'TITLE'),
    json,
  },
  examples: [
    ['$0 publish results/published --site site', 'every run below results/published'],
    ['$0 publish results/runs/mine results/runs/mine-rerun --site site', 'a run and its repetition: badge re-run'],
  ],
  async run({ dirs, site, title, json: asJson }, terminal) {
    const [{ publishSite }, { rescore }] = await Promise.all([
      import('../../results/site/publish.js'),
      import('../../suites/rescore.js'),
    ]);
    const published = await publishSite({ dirs, site, title: title ?? 'Winnow leaderboard', rescore });
    if (asJson) terminal.printJson(published);
    else {
      for (const { dir, id, badge } of published.runs) terminal.print(`${dir}: ${id}, ${badge}`);
      const { settings, cells, samples, files, bytes } = published;
      terminal.print(
        `${settings} settings, ${cells} cells, ${samples} samples: ${files} files, ${(bytes / 2 ** 20).toFixed(1)} MiB in ${site}. Open ${site}/index.html.`,
      );
    }
    return 0;
  },
});
