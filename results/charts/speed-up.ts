import { geometricMean, mean, median } from '../../core/statistics.js';
import { distinct, isDense } from '../averages.js';
import { timedOn } from '../hardware.js';
import type { TimingRecord } from '../schema.js';
import { type CellSummary, groupKey, type RunSummary, settingLabel } from '../summary.js';
import { type AmdahlCaps, amdahlCaps } from './amdahl.js';
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

interface Phase {
  readonly id: keyof AmdahlCaps;
  readonly title: string;
  of(round: TimingRecord): number;
}
const phases: readonly Phase[] = [
  { id: 'prefill', title: 'prefill + compression', of: ({ prefillMs, compressionMs }) => prefillMs + compressionMs },
  { id: 'decode', title: 'decode', of: ({ decodeMsPerToken }) => decodeMsPerToken },
];

/** Measured speed-up over dense beside the most that a method could have which only makes attention cheaper; a row of panels per length. */
export const speedUp = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart | undefined => {
  const name = nameFor('speed-up', protocol, protocols);
  const timed = summary.cells.filter(({ facts, times }) => facts.protocol === protocol && times !== undefined);
  if (timed.length === 0) return undefined;
  const dense = new Map(timed.filter(isDense).map((cell) => [groupKey(cell.facts), cell]));
  if (dense.size === 0 || timed.length === dense.size) return { name, reason: 'nothing was timed beside dense' };
  const lengths = distinct(timed.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const title = 'Speed-up over dense, and its cap';
  return {
    name,
    title,
    spec: framed(
      title,
      [
        `${whatWasRun(summary, protocol)}; ${timedOn(summary.run)}.`,
        'Median of the rounds of an interleaved pass, each beside dense of its round; bars: fastest and slowest round.',
        'Dashed: as fast as dense. Thick: the cap, if attention cost nothing (by counted work: multiply-adds in prefill, bytes read in decode).',
      ],
      {
        spacing: 26,
        vconcat: lengths.map((length) => {
          const cells = timed.filter(({ facts }) => facts.contextLength === length);
          return {
            bounds: 'flush',
            spacing: 24,
            hconcat: phases.map((phase, i) => panelOf(summary, phase, cells, dense, length, i === 0)),
          };
        }),
      },
    ),
  };
};

/** Speed-ups round by round; several tasks of a length are one geometric mean per round. */
export const speedUpsOf = (
  members: readonly CellSummary[],
  dense: ReadonlyMap<string, CellSummary>,
  of: (round: TimingRecord) => number,
): { readonly middle: number; readonly low: number; readonly high: number } | undefined => {
  const byRound = new Map<number, number[]>();
  for (const { facts, times } of members)
    for (const round of times?.rounds ?? []) {
      const beside = dense.get(groupKey(facts))?.times?.rounds.find(({ repeat }) => repeat === round.repeat);
      if (beside === undefined || of(round) === 0) continue;
      byRound.set(round.repeat, [...(byRound.get(round.repeat) ?? []), of(beside) / of(round)]);
    }
  const ratios = [...byRound.values()].map((values) => geometricMean(values));
  if (ratios.length === 0) return undefined;
  return { middle: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
};

const panelOf = (
  summary: RunSummary,
  phase: Phase,
  cells: readonly CellSummary[],
  dense: ReadonlyMap<string, CellSummary>,
  length: number,
  isFirst: boolean,
): object => {
  const settings = settingsOf(cells).filter((setting) => setting !== 'dense');
  const rows = settings.flatMap((setting) => {
    const ratios = speedUpsOf(
      cells.filter((cell) => settingLabel(cell) === setting),
      dense,
      phase.of,
    );
    return ratios === undefined ? [] : [{ setting, ...ratios }];
  });
  const cap = capOf(summary, cells.filter(isDense), phase);
  const x = {
    type: 'quantitative',
    scale: { type: 'log', base: 2, nice: false, padding: 14 },
    axis: { title: `${phase.title}: times as fast as dense (log scale)`, format: '~g', tickCount: 6 },
  };
  const { y, ...size } = settingRows(settings, isFirst);
  const at = (datum: number, mark: object) => ({
    data: { values: [{}] },
    mark: { type: 'rule', ...mark },
    encoding: { x: { ...x, datum } },
  });
  return {
    ...size,
    title: heading(`${phase.title}, ${lengthLabel(length)} tokens`),
    layer: [
      at(1, { strokeDash: [5, 4], color: '#000000', opacity: 0.65 }),
      ...(cap === undefined ? [] : [at(cap, { strokeWidth: 3, color: '#D55E00', opacity: 0.8 })]),
      {
        data: { values: rows },
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 1.6, color: '#555555' },
            encoding: { y, x: { ...x, field: 'low' }, x2: { field: 'high' } },
          },
          {
            mark: { type: 'point', filled: true, size: 50, color: '#0072B2', opacity: 1 },
            encoding: { y, x: { ...x, field: 'middle' } },
          },
        ],
      },
    ],
  };
};

const capOf = ({ run }: RunSummary, dense: readonly CellSummary[], { id }: Phase): number | undefined => {
  const model = run.model.facts;
  const counted = dense.flatMap(({ record }) => (record.aggregates === undefined ? [] : [record.aggregates]));
  if (model === undefined || counted.length === 0) return undefined;
  return amdahlCaps(model, {
    tokens: mean(counted.map(({ promptTokens }) => promptTokens)),
    kvBytesRead: mean(counted.map(({ kvBytesReadPerStep }) => kvBytesReadPerStep)),
  })?.[id];
};
