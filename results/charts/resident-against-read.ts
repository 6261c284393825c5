import { distinct, meanOf } from '../averages.js';
import { type CellSummary, type RunSummary, settingLabel } from '../summary.js';
import { type Chart, framed, lengthLabel, mebibytes, nameFor, type SkippedChart, whatWasRun } from './theme.js';

const panelWidth = 360;
const rowHeight = 22;

/** The two budgets side by side: KV bytes resident and KV bytes read per decode step, a pair of bars per setting, a panel per length. */
export const residentAgainstRead = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart => {
  const name = nameFor('resident-against-read', protocol, protocols);
  const cells = summary.cells.filter(
    ({ facts, record }) => facts.protocol === protocol && record.aggregates !== undefined,
  );
  if (cells.length === 0) return { name, reason: 'no cell has a score' };
  const lengths = distinct(cells.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const settings = distinct(cells.map(settingLabel)).sort((a, b) => Number(b === 'dense') - Number(a === 'dense'));
  const title = 'KV bytes: kept in memory and read per decode step';
  const subtitle = [
    `${whatWasRun(summary, protocol)}; measured, mean over the tasks. Dashed: dense.`,
    'Eviction and quantisation shorten both bars; selection shortens only the second.',
  ];
  return {
    name,
    title,
    spec: framed(title, subtitle, {
      columns: Math.min(2, lengths.length),
      spacing: 26,
      concat: lengths.map((length, i) =>
        panelOf(
          length,
          cells.filter(({ facts }) => facts.contextLength === length),
          settings,
          i % 2 === 0,
        ),
      ),
      resolve: { scale: { color: 'shared' } },
    }),
  };
};

const panelOf = (
  length: number,
  cells: readonly CellSummary[],
  settings: readonly string[],
  isFirst: boolean,
): object => {
  const rows = settings.flatMap((setting) => {
    const members = cells.filter((cell) => settingLabel(cell) === setting);
    const resident = meanOf(members, 'kvCacheBytes');
    const read = meanOf(members, 'kvBytesReadPerStep');
    return resident === undefined || read === undefined
      ? []
      : [
          { setting, what: whats[0], MiB: mebibytes(resident) },
          { setting, what: whats[1], MiB: mebibytes(read) },
        ];
  });
  const dense = meanOf(
    cells.filter(({ facts }) => facts.method.id === 'dense'),
    'kvCacheBytes',
  );
  const x = { type: 'quantitative', scale: { zero: true }, axis: { title: 'MiB', tickCount: 6 } };
  const y = {
    field: 'setting',
    type: 'nominal',
    sort: [...settings],
    scale: { domain: [...settings], paddingInner: 0.25 },
    axis: isFirst ? { title: null, labelLimit: 360 } : null,
  };
  return {
    width: panelWidth,
    height: settings.length * rowHeight,
    title: { text: `${lengthLabel(length)} tokens`, fontSize: 13, offset: 6, anchor: 'middle' },
    data: { values: rows },
    layer: [
      {
        mark: { type: 'bar' },
        encoding: {
          y,
          yOffset: { field: 'what', type: 'nominal', sort: whats },
          x: { ...x, field: 'MiB' },
          color: {
            field: 'what',
            type: 'nominal',
            scale: { domain: whats, range: ['#0072B2', '#E69F00'] },
            legend: { title: null, orient: 'bottom', direction: 'horizontal' },
          },
        },
      },
      ...(dense === undefined
        ? []
        : [
            {
              data: { values: [{}] },
              mark: { type: 'rule', strokeDash: [5, 4], color: '#000000', opacity: 0.65 },
              encoding: { x: { ...x, datum: mebibytes(dense) } },
            },
          ]),
    ],
  };
};

const whats = ['resident after the prompt', 'read per decode step'];
