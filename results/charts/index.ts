import { distinct } from '../averages.js';
import { isScored } from '../quality.js';
import type { RunSummary } from '../summary.js';
import { breakEvenChart } from './break-even.js';
import { depthByLength } from './depth-by-length.js';
import { evidenceAgainstScore } from './evidence-against-score.js';
import { keptByHead } from './kept-by-head.js';
import { latencySplit } from './latency-split.js';
import { memoryByLength } from './memory-by-length.js';
import { pareto } from './pareto.js';
import { residentAgainstRead } from './resident-against-read.js';
import { scoreAgainstBytes } from './score-against-bytes.js';
import { scoreAlong } from './score-along.js';
import { scoreByLength } from './score-by-length.js';
import { scoreByTask } from './score-by-task.js';
import { speedUp } from './speed-up.js';
import type { Chart, SkippedChart } from './theme.js';
import { tokensByBatch } from './tokens-by-batch.js';

export interface Charts {
  readonly charts: readonly Chart[];
  readonly skipped: readonly SkippedChart[];
}

/** In the order of a report: what is kept of the score and why, then what it costs. */
const ofScores = [
  pareto,
  scoreAgainstBytes,
  scoreByTask,
  scoreByLength,
  depthByLength,
  ...scoreAlong,
  evidenceAgainstScore,
] as const;
const ofCost = [
  residentAgainstRead,
  memoryByLength,
  keptByHead,
  latencySplit,
  speedUp,
  breakEvenChart,
  tokensByBatch,
] as const;

/** Every chart of a run, apart for each protocol: cells of different protocols are never compared. */
export const buildCharts = (summary: RunSummary): Charts => {
  const protocols = distinct(summary.cells.map(({ facts }) => facts.protocol)).sort();
  const builders = isScored(summary.run) ? [...ofScores, ...ofCost] : ofCost;
  const built = protocols.flatMap((protocol) => builders.flatMap((build) => build(summary, protocol, protocols) ?? []));
  return {
    charts: built.filter((chart): chart is Chart => 'spec' in chart),
    skipped: built.filter((chart): chart is SkippedChart => 'reason' in chart),
  };
};
