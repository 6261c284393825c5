import { mean } from '../../core/statistics.js';
import { distinct } from '../averages.js';
import { type CellSummary, type RunSummary, settingLabel } from '../summary.js';
import { type Chart, framed, heading, nameFor, settingsOf, whatWasRun } from './theme.js';

const cellWidth = 10;
const cellHeight = 14;
const mostWidth = 420;

/** Where a method spends its budget: a map per setting, a field per layer and KV head. Undefined for runs without `--trace kept`. */
export const keptByHead = (summary: RunSummary, protocol: string, protocols: readonly string[]): Chart | undefined => {
  const cells = summary.cells.filter((cell) => cell.facts.protocol === protocol && fieldsOf([cell]).length > 0);
  if (cells.length === 0) return undefined;
  const settings = settingsOf(cells);
  const fields = settings.map((setting) => fieldsOf(cells.filter((cell) => settingLabel(cell) === setting)));
  const layers = Math.max(...fields.flat().map(({ layer }) => layer)) + 1;
  const heads = Math.max(...fields.flat().map(({ head }) => head)) + 1;
  const width = Math.min(mostWidth, cellWidth * layers);
  const columns = Math.min(2, settings.length);
  const title = 'Tokens kept, by layer and KV head';
  return {
    name: nameFor('kept-by-head', protocol, protocols),
    title,
    spec: framed(
      title,
      [
        `${whatWasRun(summary, protocol)}; mean over tasks, lengths and samples.`,
        'Kept positions as a share of the prompt. A setting of one shade spreads its budget evenly.',
      ],
      {
        columns,
        spacing: { row: 20, column: 24 },
        concat: settings.map((setting, i) => ({
          width,
          height: cellHeight * heads,
          title: heading(setting),
          data: { values: fields[i] },
          mark: { type: 'rect' },
          encoding: {
            x: {
              field: 'layer',
              type: 'ordinal',
              scale: { domain: Array.from({ length: layers }, (_, layer) => layer) },
              axis: {
                title: 'layer',
                labelAngle: 0,
                labelOverlap: true,
                values: Array.from({ length: Math.ceil(layers / 4) }, (_, step) => 4 * step),
              },
            },
            y: {
              field: 'head',
              type: 'ordinal',
              scale: { domain: Array.from({ length: heads }, (_, head) => head) },
              axis: { title: i % columns === 0 ? 'KV head' : null },
            },
            color: {
              field: 'kept',
              type: 'quantitative',
              scale: { domain: [0, 1], scheme: 'viridis' },
              legend: { title: 'share kept', orient: 'bottom', format: '.0%' },
            },
          },
        })),
        resolve: { scale: { color: 'shared' } },
      },
    ),
  };
};

const fieldsOf = (cells: readonly CellSummary[]) => {
  const traced = cells.flatMap(({ samples }) =>
    samples.flatMap((sample) =>
      sample.status === 'ok' && sample.kept !== undefined ? [{ kept: sample.kept, tokens: sample.promptTokens }] : [],
    ),
  );
  const layers = Math.max(0, ...traced.map(({ kept }) => kept.length));
  return Array.from({ length: layers }, (_, layer) => layer).flatMap((layer) =>
    distinct(traced.flatMap(({ kept }) => kept[layer]?.map((__, head) => head) ?? [])).map((head) => ({
      layer,
      head,
      kept: mean(
        traced.flatMap(({ kept, tokens }) => {
          const slots = kept[layer]?.[head];
          return slots === undefined ? [] : [Math.min(1, slots.length / tokens)];
        }),
      ),
    })),
  );
};
