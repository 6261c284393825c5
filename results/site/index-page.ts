/** The first page: a table of all settings, ranking by ranking, that needs no script; the script makes it sortable and adds the views. */

import { rankingTitle } from './board-names.js';
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
import { type Html, html } from './html.js';
import { isolated } from './sample-text.js';
import { type Badge, type Board, rankingKey, type Setting, settingName } from './site-data.js';

export interface IndexPage {
  readonly title: string;
  readonly boards: readonly Board[];
  readonly settings: readonly Setting[];
  readonly cells: number;
  readonly samples: number;
  readonly runs: number;
  readonly downloads: readonly { readonly file: string; readonly label: string }[];
}

const heads = [
  'rank',
  'score',
  'kept',
  'Δ dense',
  'cache MiB',
  '÷ dense',
  'read MiB',
  '÷ dense',
  'first token ms',
  'ms per token',
  'peak MiB',
  'recall',
  'cells',
];

export const indexPage = (page: IndexPage): Html => {
  const groups = new Map<string, Setting[]>();
  for (const setting of page.settings) {
    const key = setting.control ? `${setting.board} ${setting.protocol} control` : rankingKey(setting);
    groups.set(key, [...(groups.get(key) ?? []), setting]);
  }
  return html`<header>
<h1>${page.title}</h1>
<p>${page.settings.length} settings, ${page.cells} cells, ${page.samples} samples, ${page.runs} ${page.runs === 1 ? 'run' : 'runs'}. Each setting has a page with its card, how to get it again, and its outputs.</p>
</header>
<main id="main">
<noscript><p class="soft">Without JavaScript this page is the table below; sorting, filters, charts and comparisons need it.</p></noscript>
<div id="tools"></div>
<div id="views"></div>
<section id="static" aria-label="settings">
<div class="scroll" tabindex="0" role="region" aria-label="table of settings"><table>
<caption>Best first within each ranking. Equal ranks (=) are ties: the paired intervals overlap.</caption>
<thead><tr><th class="text" scope="col">setting</th>${heads.map((head) => html`<th scope="col">${head}</th>`)}<th class="text" scope="col">marks</th><th class="text" scope="col">run</th></tr></thead>
${[...groups.values()].map(
  (
    members,
  ) => html`<tbody><tr><th class="group" scope="rowgroup" colspan="${heads.length + 3}">${isolated(rankingTitle(members[0]!, page.boards))}</th></tr>
${members.map(settingRow)}</tbody>`,
)}
</table></div>
</section>
<h2>How to read it</h2>
<ul>
<li>Scores are means over tasks and lengths, each cell counted once, with 95 % bootstrap intervals. "Kept" is the score ÷ that of dense on the same cells. Times and peak memory are means over the cells that were timed, the same as of dense; runs on other machines are not to be compared by them.</li>
<li>A ranking holds one suite, model, protocol, budget axis and budget. A rank is 1 + the number of settings that are better with a 95 % interval of the paired difference above 0. Controls, simulated methods and untrained stand-ins are never ranked.</li>
<li>Under <em>query-aware</em> a method knows the question when it compresses; under <em>query-agnostic</em> it does not. The two are never ranked together.</li>
${(Object.keys(badgeMeaning) as Badge[]).map((badge) => html`<li><span class="badge ${badge}">${badge}</span>: ${badgeMeaning[badge]}.</li>`)}
</ul>
<h2>Downloads</h2>
<ul id="downloads">${page.downloads.map(({ file, label }) => html`<li><a href="${file}" download>${label}</a></li>`)}</ul>
</main>`;
};

const settingRow = (setting: Setting): Html => {
  const texts = [
    scoreText(setting.estimate),
    percentText(setting.scoreKept),
    deltaText(setting.delta),
    bytesText(setting.kvCacheBytes),
    shareText(setting.kvCacheShare),
    bytesText(setting.kvBytesRead),
    shareText(setting.kvReadShare),
    timeText(setting.timeToFirstTokenMs),
    timeText(setting.decodeMsPerToken),
    bytesText(setting.peakBytes),
    shareText(setting.evidenceRecall),
    setting.scored === setting.planned ? String(setting.planned) : `${setting.scored} of ${setting.planned}`,
  ];
  return html`<tr><th scope="row"><a href="${setting.page}">${isolated(settingName(setting))}</a></th><td title="${rankTitle(setting)}">${rankText(setting)}</td>${texts.map((text) => html`<td>${text}</td>`)}<td class="text">${marksOf(setting).map((mark) => html`<span class="badge ${mark}">${mark}</span> `)}<span class="badge ${setting.badge}">${setting.badge}</span></td><td class="text">${isolated(setting.run)}</td></tr>
`;
};
