import { plain } from './markdown.js';
import { type CellSummary, settingLabel } from './summary.js';

/** Falls below this share are noise of the governor. */
const LEAST_FALL = 0.05;

const clocks = [
  ['smClockMhz', 'multiprocessors'],
  ['memoryClockMhz', 'memory'],
] as const;

/**
 * What is to be said when a device's clocks fell by more than a twentieth while cells were timed: from the highest that was read before or
 * after any of them to the lowest that was read right after one. Empty where they held, or were not read.
 */
export const clockRemarks = (cells: readonly CellSummary[]): string[] => {
  const read = cells.flatMap((cell) =>
    [...(cell.times?.rounds ?? []), ...(cell.times?.batches ?? [])].flatMap(({ device }) =>
      device === undefined ? [] : [{ setting: settingLabel(cell), ...device }],
    ),
  );
  return clocks.flatMap(([clock, name]) => {
    const highest = Math.max(...read.flatMap(({ before, after }) => [before?.[clock] ?? 0, after?.[clock] ?? 0]));
    const after = read.flatMap(({ setting, after }) =>
      after?.[clock] === undefined ? [] : [{ setting, mhz: after[clock] }],
    );
    const lowest = after.reduce((least, one) => (one.mhz < least.mhz ? one : least), { setting: '', mhz: highest });
    const fall = 1 - lowest.mhz / highest;
    if (!(fall > LEAST_FALL)) return [];
    return `**Clocks fell while this was timed**: of the ${name} from ${highest} to ${lowest.mhz} MHz (${(100 * fall).toFixed(0)} %), lowest right after ${plain(lowest.setting)}.`;
  });
};
