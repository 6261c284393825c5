import { type Average, averageSettings, distinct } from './averages.js';
import { errorText } from './cells-csv.js';
import type { Charts } from './charts/index.js';
import { lengthLabel } from './charts/theme.js';
import { deviceText } from './hardware.js';
import { markdownTable, plain } from './markdown.js';
import { differenceWithInterval, mebibytesText, scoreWithInterval, share } from './numbers.js';
import { isScored } from './quality.js';
import { batchSections } from './report-batches.js';
import { evidenceSections } from './report-evidence.js';
import { floorSection } from './report-floor.js';
import { kindSections, memorySections } from './report-kinds.js';
import { deviceTimeSections } from './report-time.js';
import { turnSections } from './report-turns.js';
import { type CellSummary, groupKey, type RunSummary, settingLabel } from './summary.js';

/** The report of a run as Markdown, with its charts by relative path. The same run gives the same text. */
export const reportMarkdown = (summary: RunSummary, { charts, skipped }: Charts): string => {
  const { run, cells } = summary;
  const protocols = distinct(cells.map(({ facts }) => facts.protocol)).sort();
  const sections = [
    `# ${plain(run.suite.id)} v${run.suite.version} on ${plain(run.model.id)}`,
    unfinishedNote(summary),
    isScored(run)
      ? ''
      : '> **The weights are random**: scores mean nothing and are left out. Time, memory and bytes are those of this shape.',
    facts(summary, protocols),
    '## Charts',
    ...charts.map(
      ({ name, title }) =>
        `![${plain(title)}](charts/${name}.png)\n\n[SVG](charts/${name}.svg), [Vega-Lite](charts/${name}.vl.json)`,
    ),
    ...skipped.map(({ name, reason }) => `No chart \`${name}\`: ${plain(reason)}.`),
    ...protocols.flatMap((protocol) => [
      `## Averages, ${protocol}`,
      'Means over tasks and lengths, each cell counted once; bytes are geometric means of the measured ratio to dense. "beats random": cells in which the paired difference to `random` at equal measured bytes lies above 0, of those where such a `random` was run.',
      averagesTable(
        averageSettings(
          summary,
          cells.filter((cell) => cell.facts.protocol === protocol),
        ),
      ),
    ]),
    ...(isScored(run) ? floorSection(cells) : []),
    '## Results by task and length',
    reading(run.statistics.level),
    ...distinct(cells.map((cell) => groupKey(cell.facts))).flatMap((key) =>
      groupSection(
        cells.filter((cell) => groupKey(cell.facts) === key),
        isScored(run),
      ),
    ),
    ...turnSections(cells),
    ...(isScored(run) ? kindSections(cells) : []),
    ...memorySections(cells),
    ...(isScored(run) ? evidenceSections(cells) : []),
    ...deviceTimeSections(cells),
    ...batchSections(cells),
    ...failures(cells),
    '## Reproduce',
    `\`\`\`\n${run.command.replaceAll('```', '')}\n\`\`\``,
    `Every number above is in [cells.csv](cells.csv); the outputs of every sample are in \`samples/\`, hashes in \`checksums.json\`.`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
};

const unfinishedNote = ({ run, cells }: RunSummary): string =>
  run.status === 'finished'
    ? ''
    : `> **This run is not finished** (${run.status}): ${cells.length} cells so far. The same command continues it.`;

const facts = ({ run, cells }: RunSummary, protocols: readonly string[]): string => {
  const { machine, code, software, model } = run;
  const question = typeof run.suite.resolved.question === 'string' ? run.suite.resolved.question : '';
  const saved = run.prefillsUnshared > 0 ? ` (${run.prefillsUnshared} without sharing)` : '';
  const rows: [string, string][] = [
    ['question', plain(question)],
    ['protocol', protocols.join(', ')],
    ['model', `${plain(model.id)}, sha256 \`${model.sha256.slice(0, 16)}…\`, ${mebibytesText(model.bytes)} MiB`],
    ['lengths', lengthsCounted(run)],
    ['data', (run.datasets ?? []).map(dataText).join('; ')],
    ['numerics', `${run.numerics}, backend ${run.backend}, ${plain(run.isa)}, ${run.threads} threads`],
    ['device', run.device === undefined ? '' : plain(deviceText(run.device))],
    [
      'machine',
      `${plain(machine.cpu)}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB; ${plain(software.os)}, Node ${plain(software.node)}`,
    ],
    [
      'code',
      `${plain(code.version)}${code.commit === undefined ? '' : `, commit \`${plain(code.commit.slice(0, 12))}\`${code.dirty === true ? ' with local changes' : ''}`}`,
    ],
    [
      'seeds',
      Object.entries(run.seeds)
        .map(([name, seed]) => `${plain(name)} ${seed}`)
        .join(', '),
    ],
    ['prefills', `${run.prefills}${saved}`],
    [
      'engine time outside native ops',
      run.engineOverheadShare === undefined ? '' : `${(100 * run.engineOverheadShare).toFixed(1)} %`,
    ],
    [
      'cells',
      `${cells.length}, of which ${cells.filter(({ record }) => record.status !== 'ok').length} without a score`,
    ],
    ['started', `${run.createdAt}${run.finishedAt === undefined ? '' : `, finished ${run.finishedAt}`}`],
  ];
  return markdownTable(
    ['', ''],
    rows.filter(([, value]) => value !== ''),
    ['left', 'left'],
  );
};

/** Every length of a report is in these tokens. */
const lengthsCounted = ({ tokenizer, suite }: RunSummary['run']): string => {
  if (tokenizer === undefined) return '';
  const template = suite.resolved.chatTemplate === false ? 'no chat template' : "the model's chat template";
  return `in tokens of ${plain(tokenizer)}; the whole prompt with ${template} and the answer prefix`;
};

const dataText = ({ dataset, file, sha256, trust }: NonNullable<RunSummary['run']['datasets']>[number]): string => {
  const known = { manifest: '', 'first-pull': ', trusted since its first pull', 'own-file': ', a file of the user' }[
    trust
  ];
  return `${plain(dataset)}/${plain(file)} \`${sha256.slice(0, 16)}…\`${known}`;
};

const reading = (level: number): string =>
  [
    `Scores are 0–1 with ${100 * level} % BCa bootstrap intervals over the samples; where all samples score the same, the interval is Wilson's. Δ dense is the mean paired difference to dense on the same samples.`,
    '"vs random" is the mean paired difference to the random control within 2 % of the same measured quantity: **beats** when its interval lies above 0, **does not beat** otherwise, – where no such control was run. (c) marks controls, which are never ranked.',
  ].join(' ');

const groupSection = (cells: readonly CellSummary[], showsScores: boolean): string[] => {
  const { taskName, contextLength, protocol } = cells[0]!.facts;
  const scored = cells.filter(({ record }) => record.aggregates !== undefined);
  const rows = scored.map((cell) => {
    const { score, scoreLow, scoreHigh, evidenceRecall, kvCacheBytes, kvBytesReadPerStep } = cell.record.aggregates!;
    return [
      `${plain(cell.series)}${marks(cell)}`,
      cell.budget,
      showsScores ? scoreWithInterval({ mean: score, low: scoreLow, high: scoreHigh }) : '',
      cell.deltaDense === undefined ? '' : differenceWithInterval(cell.deltaDense),
      randomVerdict(cell),
      !showsScores || evidenceRecall === undefined ? '' : share(evidenceRecall),
      mebibytesText(kvCacheBytes),
      mebibytesText(kvBytesReadPerStep),
      String(cell.record.n),
    ];
  });
  const heads = [
    'method',
    'budget',
    'score',
    'Δ dense',
    'vs random',
    'evidence recall',
    'KV MiB',
    'read MiB/step',
    'n',
  ];
  const title = `### ${plain(taskName)}, ${lengthLabel(contextLength)} tokens, ${protocol}`;
  return [
    title,
    promptsText(scored),
    rows.length === 0
      ? 'No cell has a score.'
      : markdownTable(heads, rows, ['left', 'right', 'left', 'left', 'left', 'right', 'right', 'right', 'right']),
  ];
};

/** Of the setting that feeds whole prompts, where there is one: prompt methods feed less. */
const promptsText = (cells: readonly CellSummary[]): string => {
  const whole = cells.find(({ facts }) => facts.method.id === 'dense') ?? cells[0];
  const lengths = whole?.record.aggregates;
  if (lengths?.promptTokensMin === undefined) return '';
  const { promptTokensMin, promptTokensMedian, promptTokensMax, truncatedSamples = 0, truncatedTokensMedian } = lengths;
  const prompts = `Prompts have ${promptTokensMin} to ${promptTokensMax} tokens, median ${promptTokensMedian}`;
  if (truncatedSamples === 0) return `${prompts}; none was truncated.`;
  return `${prompts}; ${truncatedSamples} of ${whole!.record.n} lost the middle of their text to fit, ${truncatedTokensMedian} tokens in the median.`;
};

export const marks = ({ facts }: CellSummary): string =>
  [
    facts.control ? ' (c)' : '',
    facts.simulated ? ' (simulated)' : '',
    facts.training === 'untrained-stand-in' ? ' (untrained stand-in)' : '',
  ].join('');

const randomVerdict = ({ againstRandom }: CellSummary): string => {
  if (againstRandom === undefined) return '';
  if (againstRandom === 'none') return '–';
  return `${againstRandom.low > 0 ? 'beats' : '**does not beat**'} ${differenceWithInterval(againstRandom)}`;
};

const averagesTable = (averages: readonly Average[]): string =>
  markdownTable(
    ['method', 'budget', 'score', 'Δ dense', 'beats random', 'evidence recall', 'KV ÷ dense', 'read ÷ dense', 'cells'],
    averages.map((average) => [
      `${plain(average.series)}${marks(average.cells[0]!)}`,
      average.budget,
      average.score === undefined ? '' : scoreWithInterval(average.score),
      average.deltaDense === undefined ? '' : differenceWithInterval(average.deltaDense),
      beatsRandom(average.cells),
      average.evidenceRecall === undefined ? '' : share(average.evidenceRecall),
      average.kvCacheShare === undefined ? '' : share(average.kvCacheShare),
      average.kvReadShare === undefined ? '' : share(average.kvReadShare),
      average.scored === average.planned ? String(average.planned) : `${average.scored} of ${average.planned}`,
    ]),
    ['left', 'right', 'left', 'left', 'right', 'right', 'right', 'right', 'right'],
  );

/** `3/4`: cells that beat random at equal bytes, of those that could be compared; empty when none could. */
export const beatsRandom = (cells: readonly CellSummary[]): string => {
  const compared = cells.flatMap(({ againstRandom }) =>
    againstRandom === undefined || againstRandom === 'none' ? [] : [againstRandom],
  );
  return compared.length === 0 ? '' : `${compared.filter(({ low }) => low > 0).length}/${compared.length}`;
};

const failures = (cells: readonly CellSummary[]): string[] => {
  const failed = cells.filter(({ record }) => record.status !== 'ok');
  if (failed.length === 0) return [];
  const rows = failed.map((cell) => [
    plain(cell.facts.taskName),
    lengthLabel(cell.facts.contextLength),
    cell.facts.protocol,
    plain(settingLabel(cell)),
    cell.record.status,
    plain(cell.record.error === undefined ? '' : errorText(cell.record.error)),
  ]);
  return [
    '## Cells without a score',
    markdownTable(
      ['task', 'length', 'protocol', 'setting', 'status', 'why'],
      rows,
      rows[0]!.map(() => 'left'),
    ),
  ];
};
