/** Outputs of a setting, cell by cell, with what was asked for marked in them. */
import { lengthLabel } from '../charts/theme.js';
import type { SampleRecord, ScoredSample, TurnRecord } from '../schema.js';
import { shareText } from './cell-text.js';
import type { SiteCell } from './collect.js';
import { type Html, html } from './html.js';
import { isolated, markedText, SHOWN_QUESTION } from './sample-text.js';

/** Samples on one page: more would make pages of megabytes; the download has all. */
const MOST_SAMPLES = 300;
const MOST_PER_CELL = 20;
const SHOWN_REFERENCES = 300;
const SHOWN_ERROR = 400;

export const samplesSection = (
  cells: readonly SiteCell[],
  samplesOf: (cellId: string) => readonly SampleRecord[],
): Html => {
  const perCell = Math.max(1, Math.min(MOST_PER_CELL, Math.floor(MOST_SAMPLES / Math.max(1, cells.length))));
  return html`<p class="soft">Marked: the references where they stand in an output. "Recall" is the share of the evidence that was still in the cache (or prompt) when the answer was written. Outputs are shown as they are; signs that turn or hide text are written as codes.</p>
${cells.map((cell, i) => cellSection(cell, samplesOf(cell.record.cell.cellId), perCell, i === 0))}`;
};

const cellSection = (cell: SiteCell, samples: readonly SampleRecord[], most: number, isOpen: boolean): Html => {
  const shown = samples.slice(0, most);
  const title = html`${isolated(cell.task)}, ${lengthLabel(cell.length)} tokens: ${samples.length} samples${
    shown.length < samples.length ? `, the first ${shown.length} shown` : ''
  }`;
  const { task } = cell.record.cell;
  const see = `winnow datasets show ${/^[\w.-]+$/.test(task) ? task : 'TASK'} --length ${cell.length} --sample ${samples[0]?.index ?? 0}`;
  return html`<details${isOpen ? html` open` : undefined}><summary>${title}</summary>
<p class="soft">The prompt with its evidence marked: <code>${see}</code> (task parameters and seed as in the run record).</p>
<div class="scroll" tabindex="0" role="region" aria-label="samples of ${cell.task}, ${cell.length} tokens"><table class="samples">
<thead><tr>${['sample', 'score', 'recall'].map((head) => html`<th class="text" scope="col">${head}</th>`)}<th class="text" scope="col">references</th><th class="text" scope="col">output</th></tr></thead>
<tbody>${shown.map(sampleRows)}</tbody>
</table></div></details>`;
};

const sampleRows = (sample: SampleRecord): Html => {
  if (sample.status !== 'ok') {
    const why = `${sample.error.code}: ${sample.error.message}`;
    return html`<tr><th scope="row">${isolated(sample.sampleId)}</th><td class="text">–</td><td></td><td></td><td class="text output">${sample.status}: ${isolated(why.slice(0, SHOWN_ERROR))}</td></tr>`;
  }
  const { turns } = sample;
  if (turns === undefined) return row(sample.sampleId, sample, sample.question);
  return html`${turns.map((turn, i) => row(`${sample.sampleId}, turn ${i + 1}`, turn, turn.question))}`;
};

const row = (name: string, answer: ScoredSample | TurnRecord, question: string | undefined): Html => {
  const references = answer.references.join(' | ');
  const asked =
    question === undefined || question === ''
      ? undefined
      : html`<div class="soft output">${markedText(question.trim(), [], SHOWN_QUESTION)}</div>`;
  return html`<tr><th scope="row">${isolated(name)}</th><td class="text">${shareText(answer.score)}</td><td class="text">${shareText(answer.evidenceRecall ?? null)}</td><td class="text output">${isolated(
    references.length > SHOWN_REFERENCES ? `${references.slice(0, SHOWN_REFERENCES)} …` : references,
  )}</td><td class="text output">${asked}${markedText(answer.prediction, answer.references)}</td></tr>`;
};
