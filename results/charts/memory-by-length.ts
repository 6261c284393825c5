import { mean } from '../../core/statistics.js';
import { distinct, isDense } from '../averages.js';
import type { CellSummary, RunSummary } from '../summary.js';
import {
  budgetColours,
  type Chart,
  framed,
  heading,
  legendBelow,
  lengthLabel,
  mebibytes,
  nameFor,
  type SkippedChart,
  whatWasRun,
} from './theme.js';

const panelWidth = 200;
const panelHeight = 140;

interface Memory {
  readonly base: string;
  readonly title: string;
  readonly axis: string;
  readonly said: string;
  of(cell: CellSummary): number | undefined;
}

const memories: readonly Memory[] = [
  {
    base: 'kv-bytes-by-length',
    title: 'KV cache by context length',
    axis: 'resident KV cache (MiB)',
    said: 'measured after the prompt, mean over the tasks',
    of: ({ record }) => record.aggregates?.kvCacheBytes,
  },
  {
    base: 'peak-memory-by-length',
    title: 'Peak memory by context length',
    axis: 'peak memory (MiB)',
    said: 'peak of a process that runs this setting alone, weights included; on a device, its peak',
    of: ({ times }) => times?.peakDeviceBytes ?? times?.peakResidentBytes,
  },
];

/** Memory against length: a panel per method, a line per budget, dense dashed behind. */
export const memoryByLength = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): (Chart | SkippedChart)[] => memories.flatMap((memory) => chartOf(memory, summary, protocol, protocols) ?? []);

const chartOf = (
  memory: Memory,
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | undefined => {
  const cells = summary.cells.filter((cell) => cell.facts.protocol === protocol && memory.of(cell) !== undefined);
  const lengths = distinct(cells.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const others = cells.filter((cell) => !isDense(cell));
  if (lengths.length < 2 || others.length === 0) return undefined;
  const rowsOf = (members: readonly CellSummary[]) =>
    distinct(members.map(({ budget }) => budget)).flatMap((budget) =>
      lengths.flatMap((length) => {
        const values = members
          .filter((cell) => cell.budget === budget && cell.facts.contextLength === length)
          .flatMap((cell) => memory.of(cell) ?? []);
        return values.length === 0
          ? []
          : [{ budget: budget === '' ? 'none' : budget, length, MiB: mebibytes(mean(values)) }];
      }),
    );
  const series = distinct(others.map((cell) => cell.series));
  const budgets = distinct(rowsOf(others).map(({ budget }) => budget)).sort((a, b) => sizeOf(a) - sizeOf(b));
  const columns = Math.min(4, series.length);
  const x = {
    field: 'length',
    type: 'quantitative',
    scale: { type: 'log', base: 2, domain: [lengths[0], lengths.at(-1)], nice: false, padding: 8 },
    axis: { values: lengths, labelExpr: lengthsSpelled(lengths), title: 'context length (tokens)' },
  };
  const most = Math.max(...rowsOf(cells).map(({ MiB }) => MiB));
  const yAt = (isFirst: boolean) => ({
    field: 'MiB',
    type: 'quantitative',
    scale: { domain: [0, most * 1.05] },
    axis: { title: isFirst ? memory.axis : null, tickCount: 5 },
  });
  const color = {
    field: 'budget',
    type: 'nominal',
    scale: { domain: budgets, range: budgets.map((_, i) => budgetColours[i % budgetColours.length]) },
    legend: { ...legendBelow(budgets, columns * panelWidth), title: 'budget' },
  };
  const shapes = ['circle', 'square', 'triangle-up', 'diamond'];
  const shape = { ...color, scale: { domain: budgets, range: budgets.map((_, i) => shapes[i % shapes.length]) } };
  return {
    name: nameFor(memory.base, protocol, protocols),
    title: memory.title,
    spec: framed(memory.title, [`${whatWasRun(summary, protocol)}; ${memory.said}. Dashed: dense.`], {
      columns,
      spacing: { row: 22, column: 22 },
      concat: series.map((method, i) => {
        const y = yAt(i % columns === 0);
        return {
          width: panelWidth,
          height: panelHeight,
          title: heading(method),
          layer: [
            {
              data: { values: rowsOf(cells.filter(isDense)) },
              mark: { type: 'line', color: '#222222', strokeDash: [5, 4], strokeWidth: 1.5 },
              encoding: { x, y },
            },
            {
              data: { values: rowsOf(others.filter((cell) => cell.series === method)) },
              layer: [
                { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color } },
                { mark: { type: 'point', filled: true, size: 55, opacity: 1 }, encoding: { x, y, color, shape } },
              ],
            },
          ],
        };
      }),
      resolve: { scale: { color: 'shared', shape: 'shared' } },
    }),
  };
};

const sizeOf = (budget: string): number => (budget === 'none' ? Number.POSITIVE_INFINITY : Number.parseFloat(budget));

const lengthsSpelled = (lengths: readonly number[]): string =>
  lengths.reduceRight((rest, length) => `datum.value == ${length} ? '${lengthLabel(length)}' : ${rest}`, "''");
