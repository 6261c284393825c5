import { distinct } from '../averages.js';
import type { RunSummary } from '../summary.js';
import { settingLabel } from '../summary.js';
import {
  type Chart,
  framed,
  heading,
  lengthLabel,
  nameFor,
  type SkippedChart,
  scoreText,
  settingsOf,
  whatWasRun,
} from './theme.js';

const cellWidth = 92;
const cellHeight = 19;
/** Longer names of tasks stand on two lines. */
const labelCharacters = 14;

/** Every score at a glance: a map per length, a row per setting, a column per task. */
export const scoreByTask = (
  summary: RunSummary,
  protocol: string,
  protocols: readonly string[],
): Chart | SkippedChart => {
  const name = nameFor('score-by-task', protocol, protocols);
  const cells = summary.cells.filter(
    ({ facts, record }) => facts.protocol === protocol && record.aggregates !== undefined,
  );
  const all = distinct(cells.map(({ facts }) => facts.taskName));
  if (all.length < 2) return { name, reason: 'the run has one task' };
  const settings = settingsOf(cells);
  const lengths = distinct(cells.map(({ facts }) => facts.contextLength)).sort((a, b) => a - b);
  const title = 'Score by task';
  return {
    name,
    title,
    spec: framed(
      title,
      [
        `${whatWasRun(summary, protocol)}; mean over the samples.`,
        'A field without a score is white: the setting was not run there, or failed.',
      ],
      {
        columns: Math.max(1, Math.floor(900 / (all.length * cellWidth + 60))),
        spacing: { row: 26, column: 26 },
        concat: lengths.map((length, i) => {
          const own = cells.filter(({ facts }) => facts.contextLength === length);
          const tasks = all.filter((task) => own.some(({ facts }) => facts.taskName === task));
          return {
            width: cellWidth * tasks.length,
            height: cellHeight * settings.length,
            title: heading(`${lengthLabel(length)} tokens`),
            data: {
              values: own.map((cell) => ({
                setting: settingLabel(cell),
                task: cell.facts.taskName,
                score: cell.record.aggregates!.score,
              })),
            },
            encoding: {
              x: {
                field: 'task',
                type: 'nominal',
                scale: { domain: tasks },
                axis: { title: null, labelAngle: 0, labelExpr: brokenLabels(tasks), labelLimit: 200 },
              },
              y: {
                field: 'setting',
                type: 'nominal',
                scale: { domain: settings },
                axis: { title: null, labelLimit: 320, labels: i === 0 || lengths.length > 1 },
              },
            },
            layer: [
              {
                mark: { type: 'rect', stroke: '#ffffff', strokeWidth: 1 },
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
          };
        }),
        resolve: { scale: { color: 'shared' } },
      },
    ),
  };
};

/** Vega expression that breaks long names at `_` and `-`. */
const brokenLabels = (tasks: readonly string[]): string =>
  tasks.reduceRight(
    (rest, task) => `datum.value == ${JSON.stringify(task)} ? ${JSON.stringify(lines(task))} : ${rest}`,
    'datum.value',
  );

const lines = (name: string): string[] => {
  const found: string[] = [];
  for (const part of name.split(/(?<=[_-])/)) {
    const last = found.at(-1);
    if (last !== undefined && last.length + part.length <= labelCharacters) found[found.length - 1] = last + part;
    else found.push(part);
  }
  return found;
};
