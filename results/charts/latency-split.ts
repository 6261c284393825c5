import { mean } from '../../core/statistics.js';
import { distinct } from '../averages.js';
import { timedOn } from '../hardware.js';
import { type CellSummary, type CellTimes, type RunSummary, settingLabel } from '../summary.js';
import { type Chart, framed, lengthLabel, nameFor, type SkippedChart, whatWasRun } from './theme.js';

const panelWidth = 300;
const rowHeight = 17;

/** Where the time goes: prefill and compression stacked, decode per token beside them; a row per setting, a row of panels per length. */
export const latencySplit = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart => {
  const name = nameFor('latency-split', protocol, protocols);
  const timed = summary.cells.filter(({ facts, times }) => facts.protocol === protocol && times !== undefined);
  if (timed.length === 0) return { name, reason: 'the run has no timing pass (run it with --pass timing or both)' };
  const title = 'Latency: prefill, compression, decode';
  const subtitle = [
    `${whatWasRun(summary, protocol)}; ${timedOn(summary.run)}.`,
    'Medians of one interleaved, warm pass beside dense, averaged over the tasks.',
  ];
  return {
    name,
    title,
    spec: framed(title, subtitle, {
      spacing: 26,
      vconcat: distinct(timed.map(({ facts }) => facts.contextLength))
        .sort((a, b) => a - b)
        .map((length) =>
          panelsOf(
            length,
            timed.filter(({ facts }) => facts.contextLength === length),
          ),
        ),
      resolve: { scale: { color: 'shared' } },
    }),
  };
};

const panelsOf = (length: number, cells: readonly CellSummary[]): object => {
  const settings = distinct(cells.map(settingLabel)).sort((a, b) => Number(b === 'dense') - Number(a === 'dense'));
  const average = (setting: string, read: (times: CellTimes) => number): number =>
    mean(
      cells
        .filter((cell) => settingLabel(cell) === setting)
        .flatMap(({ times }) => (times === undefined ? [] : [read(times)])),
    );
  const rows = settings.flatMap((setting) => [
    { setting, phase: 'prefill', order: 0, ms: average(setting, (times) => times.prefillMs) },
    { setting, phase: 'compression', order: 1, ms: average(setting, (times) => times.compressionMs) },
  ]);
  const decode = settings.map((setting) => ({
    setting,
    phase: 'decode',
    ms: average(setting, (times) => times.decodeMsPerToken),
  }));
  const color = {
    field: 'phase',
    type: 'nominal',
    scale: { domain: phases, range: ['#0072B2', '#E69F00', '#009E73'] },
    legend: { title: null, orient: 'bottom', direction: 'horizontal' },
  };
  const y = { field: 'setting', type: 'nominal', sort: settings };
  const bar = { type: 'bar', height: { band: 0.72 } };
  const height = settings.length * rowHeight;
  const heading = (text: string) => ({
    text: `${text}, ${lengthLabel(length)} tokens`,
    fontSize: 13,
    offset: 6,
    anchor: 'middle',
  });
  return {
    spacing: 18,
    hconcat: [
      {
        width: panelWidth,
        height,
        title: heading('prefill + compression'),
        data: { values: rows },
        mark: bar,
        encoding: {
          y: { ...y, axis: { title: null, labelLimit: 360 } },
          x: { field: 'ms', type: 'quantitative', stack: 'zero', axis: { title: 'milliseconds', tickCount: 6 } },
          color,
          order: { field: 'order', type: 'quantitative' },
        },
      },
      {
        width: panelWidth,
        height,
        title: heading('decode'),
        data: { values: decode },
        mark: bar,
        encoding: {
          y: { ...y, axis: null },
          x: { field: 'ms', type: 'quantitative', axis: { title: 'milliseconds per token', tickCount: 6 } },
          color,
        },
      },
    ],
  };
};

const phases = ['prefill', 'compression', 'decode'];
