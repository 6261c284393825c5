import { mean } from '../../core/statistics.js';
import { distinct } from '../averages.js';
import { timedOn } from '../hardware.js';
import { type CellSummary, type RunSummary, settingLabel } from '../summary.js';
import {
  type Chart,
  framed,
  heading,
  legendBelow,
  lengthLabel,
  nameFor,
  settingsOf,
  styleOf,
  whatWasRun,
} from './theme.js';

const panelWidth = 300;
const panelHeight = 200;

/** Tokens per second against rows that decode together: a panel per length, a line per setting, its floor dashed. */
export const tokensByBatch = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | undefined => {
  const cells = summary.cells.filter(
    ({ facts, times }) => facts.protocol === protocol && (times?.batches.length ?? 0) > 0,
  );
  if (cells.length === 0) return undefined;
  const lengths = distinct(cells.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const settings = settingsOf(cells);
  const { colours, shapes } = styleOf(distinctSettings(cells));
  const columns = Math.min(2, lengths.length);
  const title = 'Tokens per second by batch';
  const color = {
    field: 'setting',
    type: 'nominal',
    scale: { domain: settings, range: settings.map((_, i) => colours[i % colours.length]) },
    legend: legendBelow(settings, columns * panelWidth),
  };
  const shape = { ...color, scale: { domain: settings, range: settings.map((_, i) => shapes[i % shapes.length]) } };
  return {
    name: nameFor('tokens-by-batch', protocol, protocols),
    title,
    spec: framed(
      title,
      [
        `${whatWasRun(summary, protocol)}; ${timedOn(summary.run)}.`,
        'Rows of one setting that decode together, each in a cache of its own; the last of a line is the largest batch that was run. Dashed: what reading weights and caches alone allows, where the bandwidth is known.',
      ],
      {
        columns,
        spacing: { row: 26, column: 30 },
        concat: lengths.map((length, i) =>
          panelOf(
            cells.filter(({ facts }) => facts.contextLength === length),
            length,
            { color, shape, isFirst: i % columns === 0 },
          ),
        ),
        resolve: { scale: { color: 'shared', shape: 'shared' } },
      },
    ),
  };
};

/** One cell a setting, named by it: what a line is. */
const distinctSettings = (cells: readonly CellSummary[]): CellSummary[] =>
  settingsOf(cells).map((setting) => ({
    ...cells.find((cell) => settingLabel(cell) === setting)!,
    series: setting,
  }));

const panelOf = (
  cells: readonly CellSummary[],
  length: number,
  { color, shape, isFirst }: { color: object; shape: object; isFirst: boolean },
): object => {
  const values = settingsOf(cells).flatMap((setting) => {
    const batches = cells.filter((cell) => settingLabel(cell) === setting).flatMap(({ times }) => times?.batches ?? []);
    return distinct(batches.map(({ rows }) => rows))
      .sort((a, b) => a - b)
      .map((rows) => {
        const same = batches.filter((batch) => batch.rows === rows);
        const floors = same.flatMap(({ floorMs }) => (floorMs === undefined ? [] : [(1000 * rows) / floorMs]));
        return {
          setting,
          rows,
          tokens: mean(same.map(({ tokensPerSecond }) => tokensPerSecond)),
          ...(floors.length === 0 ? {} : { floor: mean(floors) }),
        };
      });
  });
  const places = distinct(values.map(({ rows }) => rows)).sort((a, b) => a - b);
  const x = {
    field: 'rows',
    type: 'quantitative',
    scale: { type: 'log', base: 2, domain: [places[0], Math.max(2, places.at(-1)!)], nice: false, padding: 10 },
    axis: { title: 'rows that decode together (log scale)', values: [1, 2, 4, 8, 16, 32, 64], format: 'd' },
  };
  const y = (field: string) => ({
    field,
    type: 'quantitative',
    scale: { zero: true },
    axis: { title: isFirst ? 'tokens per second' : null, tickCount: 6 },
  });
  const floors = values.filter(({ floor }) => floor !== undefined);
  return {
    width: panelWidth,
    height: panelHeight,
    title: heading(`${lengthLabel(length)} tokens`),
    layer: [
      ...(floors.length === 0
        ? []
        : [
            {
              data: { values: floors },
              mark: { type: 'line', strokeDash: [5, 4], strokeWidth: 1.2, opacity: 0.7 },
              encoding: { x, y: y('floor'), color },
            },
          ]),
      {
        data: { values },
        layer: [
          { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y: y('tokens'), color } },
          {
            mark: { type: 'point', filled: true, size: 60, opacity: 1 },
            encoding: { x, y: y('tokens'), color, shape },
          },
        ],
      },
    ],
  };
};
