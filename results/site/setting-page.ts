/** The page of one setting: what it is, how to get it again, its cells, and its outputs. Complete without a script. */
import { distinct } from '../averages.js';
import { errorText } from '../cells-csv.js';
import { lengthLabel } from '../charts/theme.js';
import { deviceText } from '../hardware.js';
import type { RunRecord, SampleRecord } from '../schema.js';
import {
  badgeMeaning,
  bytesText,
  deltaText,
  marksOf,
  percentText,
  rankText,
  rankTitle,
  scoreText,
  shareText,
  timeText,
} from './cell-text.js';
import type { SiteCell, SiteSetting } from './collect.js';
import { type Html, html } from './html.js';
import { cardHtml, isolated } from './sample-text.js';
import { samplesSection } from './samples-section.js';
import { heatClass } from './shell.js';
import { axisWords, type Setting, settingName } from './site-data.js';

export interface SettingPage {
  readonly setting: Setting;
  readonly source: SiteSetting;
  readonly run: RunRecord;
  readonly samplesOf: (cellId: string) => readonly SampleRecord[];
  /** Cards of the methods that it is made of, as lines of Markdown; a method of the user's own has none. */
  readonly cards: readonly (readonly string[])[];
  /** Relative to the page. */
  readonly samplesFile: string;
  readonly runFile: string;
}

export const settingPage = (page: SettingPage): Html => {
  const { setting, source, run } = page;
  const name = settingName(setting);
  return html`<header>
<p><a href="../index.html">Leaderboard</a></p>
<h1>${isolated(name)}</h1>
<p>${marksOf(setting).map((mark) => html`<span class="badge ${mark}">${mark}</span> `)}<span class="badge ${setting.badge}">${setting.badge}</span></p>
<p class="soft">${setting.badge}: ${badgeMeaning[setting.badge]}.</p>
</header>
<main id="main">
<h2>Outcome</h2>
${facts([
  ['rank', `${rankText(setting)} (${rankTitle(setting)})`],
  ['score', scoreText(setting.estimate)],
  ['score kept of dense', percentText(setting.scoreKept)],
  ['Δ dense', deltaText(setting.delta)],
  ['cache', withUnit(bytesText(setting.kvCacheBytes), 'MiB', setting.kvCacheShare)],
  ['read per step', withUnit(bytesText(setting.kvBytesRead), 'MiB', setting.kvReadShare)],
  ['evidence recall', shareText(setting.evidenceRecall)],
  ['time to first token', withUnit(timeText(setting.timeToFirstTokenMs), 'ms', null)],
  ['time per token', withUnit(timeText(setting.decodeMsPerToken), 'ms', null)],
  ['peak memory', withUnit(bytesText(setting.peakBytes), 'MiB', null)],
  ['cells', `${setting.scored} of ${setting.planned}, ${setting.samples} samples`],
])}
<h2>What it is</h2>
${facts([
  ['suite', `${run.suite.id} v${run.suite.version}`],
  ['model', run.model.id],
  ['protocol', setting.protocol],
  ['budget', `${setting.budget === '' ? 'none' : setting.budget}, acts on ${axisWords[setting.axis] ?? setting.axis}`],
  ['numerics', `${run.numerics}, backend ${run.backend}, ${run.isa}, ${run.threads} threads`],
  ...(run.device === undefined ? [] : [['device', deviceText(run.device)] as const]),
  ['machine', `${run.machine.cpu}, ${run.machine.cores} cores, ${(run.machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`],
  ['parameters', JSON.stringify(source.facts.method)],
])}
${page.cards.length === 0 ? html`<p>No card: this version has no method of this name.</p>` : page.cards.map(cardHtml)}
<h2>Reproduce</h2>
<pre tabindex="0"><bdi>${run.command}</bdi></pre>
${facts([
  ['code', codeText(run)],
  ['configuration', run.configurationSha256],
  ['suite, resolved', run.suite.resolvedSha256],
  ['suite file', run.suite.fileSha256],
  ['model', run.model.sha256],
  ['lock file', run.code.lockfileSha256 ?? ''],
  ...(run.datasets ?? []).map(({ dataset, file, sha256 }): [string, string] => [`${dataset}/${file}`, sha256]),
  [
    'seeds',
    Object.entries(run.seeds)
      .map(([seed, value]) => `${seed} ${value}`)
      .join(', '),
  ],
])}
<p><a href="${page.runFile}" download>Run record</a> · <a href="${page.samplesFile}" download>all samples, outputs whole (JSON Lines, gzip)</a></p>
<h2>Score by task and length</h2>
${heatTable(source.siteCells)}
${depthTable(setting)}
<h2>Cells</h2>
${cellsTable(source.siteCells)}
<h2>Samples</h2>
${samplesSection(source.siteCells, page.samplesOf)}
</main>`;
};

const facts = (rows: readonly (readonly [string, string])[]): Html =>
  html`<dl class="facts">${rows
    .filter(([, value]) => value !== '')
    .map(([name, value]) => html`<dt>${isolated(name)}</dt><dd>${isolated(value)}</dd>`)}</dl>`;

const withUnit = (text: string, unit: string, ofDense: number | null): string =>
  text === '' ? '' : `${text} ${unit}${ofDense === null ? '' : ` (${shareText(ofDense)} of dense)`}`;

const codeText = ({ code }: RunRecord): string =>
  [
    code.version,
    ...(code.commit === undefined ? [] : [`commit ${code.commit}`]),
    ...(code.dirty === true ? ['with local changes'] : []),
  ].join(', ');

const heatTable = (cells: readonly SiteCell[]): Html => {
  const lengths = distinct(cells.map(({ length }) => length)).sort((a, b) => a - b);
  const tasks = distinct(cells.map(({ task }) => task)).sort();
  const field = (task: string, length: number): Html => {
    const score = cells.find((cell) => cell.task === task && cell.length === length)?.record.aggregates?.score;
    return score === undefined
      ? html`<td class="heat">–</td>`
      : html`<td class="${heatClass(score)}">${shareText(score)}</td>`;
  };
  return html`<div class="scroll" tabindex="0" role="region" aria-label="score by task and length"><table>
<thead><tr><th class="text" scope="col">task</th>${lengths.map((length) => html`<th scope="col">${lengthLabel(length)}</th>`)}</tr></thead>
<tbody>${tasks.map((task) => html`<tr><th scope="row">${isolated(task)}</th>${lengths.map((length) => field(task, length))}</tr>`)}</tbody>
</table></div>`;
};

const depthTable = ({ depths }: Setting): Html | undefined => {
  if (depths.length === 0) return undefined;
  const lengths = distinct(depths.map(([length]) => length));
  const levels = distinct(depths.map(([, depth]) => depth)).sort((a, b) => a - b);
  const field = (level: number, length: number): Html => {
    const found = depths.find(([l, d]) => l === length && d === level);
    return found === undefined
      ? html`<td class="heat">–</td>`
      : html`<td class="${heatClass(found[2])}">${shareText(found[2])}</td>`;
  };
  return html`<h2>Score by depth and length</h2>
<div class="scroll" tabindex="0" role="region" aria-label="score by depth and length"><table>
<thead><tr><th class="text" scope="col">depth (%)</th>${lengths.map((length) => html`<th scope="col">${lengthLabel(length)}</th>`)}</tr></thead>
<tbody>${levels.map((level) => html`<tr><th scope="row">${level}</th>${lengths.map((length) => field(level, length))}</tr>`)}</tbody>
</table></div>`;
};

const cellsTable = (cells: readonly SiteCell[]): Html =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="cells"><table>
<thead><tr><th class="text" scope="col">task</th>${['length', 'n', 'score', 'Δ dense', 'recall', 'cache MiB', 'read MiB', 'first token ms', 'ms per token', 'peak MiB'].map((head) => html`<th scope="col">${head}</th>`)}<th class="text" scope="col">status</th></tr></thead>
<tbody>${cells.map((cell) => {
    const { aggregates, n, status, error } = cell.record;
    const { deltaDense, times } = cell.summary;
    const texts = [
      lengthLabel(cell.length),
      String(n),
      aggregates === undefined
        ? ''
        : scoreText({ mean: aggregates.score, low: aggregates.scoreLow, high: aggregates.scoreHigh }),
      deltaText(deltaDense ?? null),
      shareText(aggregates?.evidenceRecall ?? null),
      bytesText(aggregates?.kvCacheBytes ?? null),
      bytesText(aggregates?.kvBytesReadPerStep ?? null),
      timeText(times?.timeToFirstTokenMs ?? null),
      timeText(times?.decodeMsPerToken ?? null),
      bytesText(times?.peakResidentBytes ?? null),
    ];
    return html`<tr><th scope="row">${isolated(cell.task)}</th>${texts.map((text) => html`<td>${text}</td>`)}<td class="wrap">${isolated(error === undefined ? status : `${status}: ${errorText(error).slice(0, 300)}`)}</td></tr>`;
  })}</tbody>
</table></div>`;
