import { mean, withoutNoise } from '../../core/statistics.js';
import { distinct } from '../averages.js';
import type { ScoredSample } from '../schema.js';
import { type CellSummary, type RunSummary, settingLabel } from '../summary.js';
import { type Chart, framed, lengthLabel, nameFor, scoreText, whatWasRun } from './theme.js';

const cellWidth = 46;
const cellHeight = 22;

/**
 * Score by depth of the evidence and length of the context: a map per setting, a field per depth and length. Only of tasks that sweep the
 * depth: where it is drawn, most fields would be empty. Undefined where the run has no such task.
 */
export const depthByLength = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | undefined => {
  const cells = summary.cells.filter(({ facts, samples }) => facts.protocol === protocol && isSweep(samples));
  if (cells.length === 0) return undefined;
  const settings = distinct(cells.map(settingLabel)).sort((a, b) => Number(b === 'dense') - Number(a === 'dense'));
  const lengths = distinct(cells.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const depths = distinct(cells.flatMap(({ samples }) => samples.flatMap(depthOf))).sort((a, b) => a - b);
  const tasks = distinct(cells.map(({ facts }) => facts.taskName));
  const columns = Math.min(4, settings.length);
  const title = 'Score by depth and length';
  const subtitle = [
    `${whatWasRun(summary, protocol)}; mean over the samples of ${tasks.join(', ')}.`,
    'Depth: percent of the text before the needle. A field without a score is white.',
  ];
  return {
    name: nameFor('score-by-depth', protocol, protocols),
    title,
    spec: framed(title, subtitle, {
      columns,
      spacing: { row: 22, column: 18 },
      concat: settings.map((setting, i) => ({
        width: cellWidth * lengths.length,
        height: cellHeight * depths.length,
        title: { text: setting, fontSize: 12, offset: 6, anchor: 'middle' },
        data: { values: rowsOf(cells.filter((cell) => settingLabel(cell) === setting)) },
        encoding: {
          x: {
            field: 'length',
            type: 'ordinal',
            scale: { domain: lengths.map(lengthLabel) },
            axis: { title: 'length (tokens)', labelAngle: 0 },
          },
          y: {
            field: 'depth',
            type: 'ordinal',
            scale: { domain: depths },
            axis: { title: i % columns === 0 ? 'depth (%)' : null },
          },
        },
        layer: [
          {
            mark: { type: 'rect' },
            encoding: {
              color: {
                field: 'score',
                type: 'quantitative',
                scale: { domain: [0, 1], scheme: 'viridis' },
                legend: { title: 'score', orient: 'bottom' },
              },
            },
          },
          {
            mark: { type: 'text', fontSize: 10 },
            encoding: scoreText,
          },
        ],
      })),
      resolve: { scale: { color: 'shared' } },
    }),
  };
};

/** Length, depth in percent, mean score and number of samples, of the cells whose task sweeps the depth. */
export const depthScores = (cells: readonly CellSummary[]): [number, number, number, number][] => {
  const fields = new Map<string, { length: number; depth: number; scores: number[] }>();
  for (const { facts, samples } of cells.filter((cell) => isSweep(cell.samples)))
    for (const sample of scored(samples))
      for (const depth of depthOf(sample)) {
        const key = `${facts.contextLength} ${depth}`;
        const field = fields.get(key) ?? { length: facts.contextLength, depth, scores: [] };
        field.scores.push(sample.score);
        fields.set(key, field);
      }
  return [...fields.values()]
    .sort((a, b) => a.length - b.length || a.depth - b.depth)
    .map(({ length, depth, scores }) => [length, depth, withoutNoise(mean(scores)), scores.length]);
};

const scored = (samples: CellSummary['samples']): ScoredSample[] =>
  samples.filter((sample): sample is ScoredSample => sample.status === 'ok');

const depthOf = (sample: CellSummary['samples'][number]): number[] => {
  const depth = sample.meta?.['depth'];
  return typeof depth === 'number' ? [depth] : [];
};

/** Samples that sweep the depth say over how many. */
const isSweep = (samples: CellSummary['samples']): boolean =>
  samples.some(({ meta }) => typeof meta?.['depths'] === 'number' && meta['depths'] >= 3);

const rowsOf = (cells: readonly CellSummary[]) => {
  const points = cells.flatMap(({ facts, samples }) =>
    scored(samples).flatMap((sample) =>
      depthOf(sample).map((depth) => ({ length: lengthLabel(facts.contextLength), depth, score: sample.score })),
    ),
  );
  return distinct(points.map(({ length }) => length)).flatMap((length) => {
    const column = points.filter((point) => point.length === length);
    return distinct(column.map(({ depth }) => depth)).map((depth) => ({
      length,
      depth,
      score: mean(column.filter((point) => point.depth === depth).map(({ score }) => score)),
    }));
  });
};
