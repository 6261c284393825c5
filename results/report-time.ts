import { distinct } from './averages.js';
import { lengthLabel } from './charts/theme.js';
import { clockRemarks } from './device-clocks.js';
import { markdownTable, plain } from './markdown.js';
import { mebibytesText } from './numbers.js';
import { type CellSummary, type CellTimes, groupKey } from './summary.js';

/** Times of cells that were timed on a device, beside the time that reading weights and cache takes at its copy bandwidth. */
export const deviceTimeSections = (cells: readonly CellSummary[]): string[] => {
  const timed = cells.filter(({ times }) => times?.peakDeviceBytes !== undefined || times?.decodeFloorMs !== undefined);
  if (timed.length === 0) return [];
  return [
    '## Time and memory on the device',
    'Medians of interleaved rounds, clocks read when the device was done. The floor of a decode step is (bytes of weights + bytes of KV read) ÷ the copy bandwidth of this run; `÷ floor` is the measured step over it. A step reads all weights, many times the L2 of a device, so that nothing of it is found there warm. Peak: weights, cache and workspaces held at once.',
    ...distinct(timed.map(({ facts }) => groupKey(facts))).flatMap((key) => {
      const group = timed.filter(({ facts }) => groupKey(facts) === key);
      const { taskName, contextLength, protocol } = group[0]!.facts;
      return [
        `### ${plain(taskName)}, ${lengthLabel(contextLength)} tokens, ${protocol}: time`,
        protocolText(group[0]!.times!.protocol),
        timeTable(group),
        ...clockRemarks(group),
      ];
    }),
  ];
};

const protocolText = (protocol: CellTimes['protocol']): string => {
  if (protocol === undefined) return '';
  const { rounds, tokens, warmUp, processWarmUpTokens } = protocol;
  const warmed = warmUp === 'first' ? 'the first setting once for all' : 'every setting once';
  const before =
    processWarmUpTokens === undefined ? '' : `, after ${processWarmUpTokens} tokens at the start of the process`;
  return `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${tokens} tokens; unmeasured before: ${warmed}${before}.`;
};

const timeTable = (cells: readonly CellSummary[]): string => {
  const dense = cells.find(({ facts }) => facts.method.id === 'dense')?.times;
  const rows = cells.map(({ series, budget, times, record }) => {
    const { prefillMs, compressionMs, timeToFirstTokenMs, decodeMsPerToken, decodeFloorMs, peakDeviceBytes } = times!;
    const read = record.aggregates?.kvBytesReadPerStep;
    return [
      plain(series),
      budget,
      prefillMs.toFixed(0),
      compressionMs.toFixed(1),
      timeToFirstTokenMs.toFixed(0),
      decodeMsPerToken.toFixed(2),
      dense === undefined ? '' : `${(dense.decodeMsPerToken / decodeMsPerToken).toFixed(2)}×`,
      decodeFloorMs?.toFixed(2) ?? '',
      decodeFloorMs === undefined ? '' : (decodeMsPerToken / decodeFloorMs).toFixed(2),
      read === undefined ? '' : mebibytesText(read),
      peakDeviceBytes === undefined ? '' : mebibytesText(peakDeviceBytes),
    ];
  });
  const heads = [
    ...['method', 'budget', 'prefill ms', 'compress ms', 'first token ms', 'decode ms/token', 'dense ÷ it'],
    ...['floor ms', '÷ floor', 'read MiB/step', 'peak MiB'],
  ];
  return markdownTable(heads, rows, ['left', ...heads.slice(1).map(() => 'right' as const)]);
};
