import { appendFileSync } from 'node:fs';
import { WinnowError } from '../../core/errors.js';
import { defineCommand } from '../command.js';
import { flag, json, names, required, text, words } from '../flags.js';

const fileFormats = ['json', 'markdown', 'junit', 'text'] as const;

export const gate = defineCommand({
  name: 'gate',
  summary: 'Hold a run against a baseline under a policy: pass, regression, inconclusive, incomparable or missing.',
  positionals: {},
  required: 0,
  flags: {
    baseline: required(names('Run directory of the baseline; several are timing passes taken in turns.', 'DIR')),
    candidate: required(names('Run directory to judge; several as for the baseline.', 'DIR')),
    policy: text(
      'The policy, a YAML file. Default: counted quantities exactly, quality with a margin of 0.01.',
      'FILE',
    ),
    report: words(
      `Also write the report: ${fileFormats.join(', ')}, then = and a file. May be repeated.`,
      'junit=FILE',
    ),
    github: flag('Annotations for GitHub on stderr, and the step summary.'),
    json,
  },
  examples: [
    [
      '$0 gate --baseline results/baselines/smoke --candidate results/runs/smoke-new --policy gate.yaml',
      'exit code 1 on a regression',
    ],
    ['$0 gate --baseline a1,a2,a3 --candidate b1,b2,b3 --policy time.yaml', 'times of passes that were run in turns'],
  ],
  async run(values, terminal) {
    const files = (values.report ?? []).map(reportFile);
    const [{ readRunRecords }, { gate: judge }, output, { readPolicy, parsePolicy }, { writeFileAtomic }] =
      await Promise.all([
        import('../../results/run-records.js'),
        import('../../results/gate/gate.js'),
        import('../../results/gate/gate-output.js'),
        import('../../results/gate/policy-file.js'),
        import('../../core/files.js'),
      ]);
    const policy =
      values.policy === undefined ? parsePolicy('version: 1', 'default policy') : readPolicy(values.policy);
    const today = new Date().toISOString().slice(0, 10);
    const report = judge(values.baseline.map(readRunRecords), values.candidate.map(readRunRecords), policy, today);
    const render = {
      json: () => `${JSON.stringify(report, undefined, 2)}\n`,
      markdown: () => output.gateMarkdown(report),
      junit: () => output.gateJunit(report),
      text: () => `${output.gateText(report)}\n`,
    };
    for (const { format, file } of files) writeFileAtomic(file, render[format]());
    if (values.github) {
      for (const line of output.gateAnnotations(report)) terminal.note(line);
      const summary = process.env.GITHUB_STEP_SUMMARY;
      if (summary !== undefined && summary !== '') appendFileSync(summary, output.gateMarkdown(report));
    }
    if (values.json) terminal.printJson(report);
    else terminal.print(output.gateText(report));
    return report.exitCode;
  },
});

const reportFile = (word: string): { readonly format: (typeof fileFormats)[number]; readonly file: string } => {
  const [, name, file] = /^([a-z]+)=(.+)$/.exec(word) ?? [];
  const format = fileFormats.find((known) => known === name);
  if (format !== undefined && file !== undefined) return { format, file };
  throw new WinnowError(
    'ERR_USAGE',
    '--report',
    `one of ${fileFormats.join(', ')}, then = and a file`,
    word,
    'Write --report junit=gate.xml.',
  );
};
