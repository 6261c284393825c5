import { distinct } from './averages.js';
import { lengthLabel } from './charts/theme.js';
import { markdownTable, plain } from './markdown.js';
import { mebibytesText } from './numbers.js';
import { type BatchTimes, type CellSummary, groupKey, settingLabel } from './summary.js';

/** Decode of several rows at once, beside the time that reading weights and caches takes; empty where no batch was timed. */
export const batchSections = (cells: readonly CellSummary[]): string[] => {
  const asked = cells.filter(({ times }) => times !== undefined && times.batches.length + times.unbatched.length > 0);
  if (asked.length === 0) return [];
  const batches = asked.flatMap(({ times }) => times!.batches);
  const steps = distinct(batches.map((batch) => String(batch.steps))).join(' or ');
  const memories = distinct(batches.flatMap(({ memoryBytes }) => memoryBytes ?? []));
  const largest =
    memories.length === 0
      ? ''
      : ` \`largest\`: the rows for which ${memories.map((bytes) => `${mebibytesText(bytes)} MiB`).join(' or ')} hold the weights and all caches while all decode, and while the prompt of the last is fed; 64 at most.`;
  return [
    '## Batches',
    `Rows of one setting that decode together after one prefill, each in a cache of its own; medians of ${steps} steps, of which each gives every row a token, after four that warm up.${largest} The floor reads the weights once and the caches of all rows. "Tokens ÷ dense" is at the same number of rows, and where dense does not fit as many, each at its largest; "of the floors'" is that ratio over the ratio of the floors.`,
    ...distinct(asked.map(({ facts }) => groupKey(facts))).flatMap((key) => {
      const group = asked.filter(({ facts }) => groupKey(facts) === key);
      const { taskName, contextLength, protocol } = group[0]!.facts;
      return [
        `### ${plain(taskName)}, ${lengthLabel(contextLength)} tokens, ${protocol}: batches`,
        batchTable(group),
        ...group.flatMap((cell) =>
          cell.times!.unbatched.map(
            ({ asked, error }) => `No batch of ${asked} for ${plain(settingLabel(cell))}: ${plain(error.message)}`,
          ),
        ),
      ];
    }),
  ];
};

const batchTable = (cells: readonly CellSummary[]): string => {
  const dense = cells.find(({ facts }) => facts.method.id === 'dense')?.times?.batches ?? [];
  const rows = cells.flatMap(({ series, budget, times }) =>
    times!.batches.map((batch) => {
      const { rows, stepMs, tokensPerSecond, floorMs, kvBytesReadPerStep, peakDeviceBytes } = batch;
      // Of as many rows where dense has them; else both at the largest that they fit.
      const beside = dense.find((one) => one.rows === rows) ?? dense.find(({ asked }) => asked === batch.asked);
      const ratio = beside === undefined ? undefined : tokensPerSecond / beside.tokensPerSecond;
      const floors = beside === undefined ? undefined : floorRatio(batch, beside);
      return [
        plain(series),
        budget,
        sizeText(batch),
        stepMs.toFixed(2),
        (stepMs / rows).toFixed(3),
        tokensPerSecond.toFixed(0),
        floorMs?.toFixed(2) ?? '',
        floorMs === undefined ? '' : (stepMs / floorMs).toFixed(2),
        ratio === undefined ? '' : `${ratio.toFixed(2)}×`,
        ratio === undefined || floors === undefined ? '' : (ratio / floors).toFixed(2),
        mebibytesText(kvBytesReadPerStep),
        peakDeviceBytes === undefined ? '' : mebibytesText(peakDeviceBytes),
      ];
    }),
  );
  const heads = [
    ...['method', 'budget', 'rows', 'ms/step', 'ms/token', 'tokens/s', 'floor ms', '÷ floor'],
    ...['tokens ÷ dense', "of the floors'", 'read MiB/step', 'peak MiB'],
  ];
  return rows.length === 0
    ? 'No batch was timed.'
    : markdownTable(heads, rows, ['left', ...heads.slice(1).map(() => 'right' as const)]);
};

const sizeText = ({ asked, rows, halvedFrom }: BatchTimes): string => {
  if (asked !== 'largest') return String(rows);
  return halvedFrom === undefined ? `${rows} (largest)` : `${rows} (largest; memory ran out at ${halvedFrom})`;
};

/** Tokens a second at the floors, over dense's. */
const floorRatio = (batch: BatchTimes, dense: BatchTimes): number | undefined =>
  batch.floorMs === undefined || dense.floorMs === undefined
    ? undefined
    : batch.rows / batch.floorMs / (dense.rows / dense.floorMs);
