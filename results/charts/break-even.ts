import { mean } from '../../core/statistics.js';
import { distinct, isDense } from '../averages.js';
import { timedOn } from '../hardware.js';
import { type CellSummary, type RunSummary, settingLabel } from '../summary.js';
import {
  type Chart,
  framed,
  heading,
  lengthLabel,
  nameFor,
  type SkippedChart,
  settingRows,
  settingsOf,
  whatWasRun,
} from './theme.js';

/** Longer answers are `never` for what a reader would do. */
const MOST_TOKENS = 65_536;

/** Time of an answer: until its first token, and for each after it. */
export interface AnswerTime {
  readonly firstTokenMs: number;
  readonly msPerToken: number;
}

/**
 * From how many generated tokens on a setting takes less time than dense; `until` where it is ahead at first and falls behind; 1: from
 * the first; undefined: never.
 */
export const breakEven = (
  setting: AnswerTime,
  dense: AnswerTime,
): { readonly from?: number; readonly until?: number } | undefined => {
  const late = setting.firstTokenMs - dense.firstTokenMs;
  const gain = dense.msPerToken - setting.msPerToken;
  if (late <= 0) return gain >= 0 ? { from: 1 } : { until: 1 + late / gain };
  return gain > 0 ? { from: 1 + late / gain } : undefined;
};

/** After how many tokens of answer a setting has paid for what it costs before the first; a panel per length. */
export const breakEvenChart = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart | undefined => {
  const name = nameFor('break-even', protocol, protocols);
  const timed = summary.cells.filter(({ facts, times }) => facts.protocol === protocol && times !== undefined);
  if (timed.length === 0) return undefined;
  if (!timed.some(isDense) || timed.every(isDense)) return { name, reason: 'nothing was timed beside dense' };
  const lengths = distinct(timed.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const title = 'Break-even: length of answer from which a setting is faster';
  return {
    name,
    title,
    spec: framed(
      title,
      [
        `${whatWasRun(summary, protocol)}; ${timedOn(summary.run)}.`,
        'Time to the first token and per token, medians of an interleaved pass beside dense. The line is where a setting is ahead of dense; without one it never is.',
      ],
      {
        columns: Math.min(2, lengths.length),
        spacing: { row: 26, column: 26 },
        concat: lengths.map((length, i) =>
          panelOf(
            timed.filter(({ facts }) => facts.contextLength === length),
            length,
            i % 2 === 0,
          ),
        ),
      },
    ),
  };
};

const panelOf = (cells: readonly CellSummary[], length: number, isFirst: boolean): object => {
  const dense = answerTime(cells.filter(isDense));
  const settings = settingsOf(cells).filter((setting) => setting !== 'dense');
  const rows = settings.flatMap((setting) => {
    const found = breakEven(answerTime(cells.filter((cell) => settingLabel(cell) === setting)), dense);
    if (found === undefined || (found.from ?? 1) > MOST_TOKENS) return [];
    const { from = 1, until = MOST_TOKENS } = found;
    return [{ setting, from, until: Math.min(until, MOST_TOKENS), at: found.until ?? from }];
  });
  const x = {
    type: 'quantitative',
    scale: { type: 'log', base: 4, domain: [1, MOST_TOKENS], nice: false, padding: 8 },
    axis: {
      title: 'generated tokens (log scale)',
      values: [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536],
      labelExpr: "datum.value < 1024 ? datum.value : datum.value / 1024 + 'k'",
    },
  };
  const { y, ...size } = settingRows(settings, isFirst);
  return {
    ...size,
    title: heading(`${lengthLabel(length)} tokens`),
    data: { values: rows },
    layer: [
      {
        mark: { type: 'rule', strokeWidth: 4, color: '#56B4E9' },
        encoding: { y, x: { ...x, field: 'from' }, x2: { field: 'until' } },
      },
      {
        mark: { type: 'point', filled: true, size: 60, color: '#0072B2', opacity: 1 },
        encoding: { y, x: { ...x, field: 'at' } },
      },
    ],
  };
};

/** Means over the tasks of a length. */
const answerTime = (cells: readonly CellSummary[]): AnswerTime => {
  const times = cells.flatMap((cell) => (cell.times === undefined ? [] : [cell.times]));
  return {
    firstTokenMs: mean(times.map(({ timeToFirstTokenMs }) => timeToFirstTokenMs)),
    msPerToken: mean(times.map(({ decodeMsPerToken }) => decodeMsPerToken)),
  };
};
