import { distinct } from '../averages.js';
import type { RunSummary } from '../summary.js';
import { depthByLength } from './depth-by-length.js';
import { latencySplit } from './latency-split.js';
import { residentAgainstRead } from './resident-against-read.js';
import { scoreAgainstBytes } from './score-against-bytes.js';
import { scoreAlong } from './score-along.js';
import { scoreByLength } from './score-by-length.js';
import type { Chart, SkippedChart } from './theme.js';

export interface Charts {
  readonly charts: readonly Chart[];
  readonly skipped: readonly SkippedChart[];
}

/** Every chart of a run, apart for each protocol: cells of different protocols are never compared. */
export const buildCharts = (summary: RunSummary): Charts => {
  const protocols = distinct(summary.cells.map(({ facts }) => facts.protocol)).sort();
  const built = protocols.flatMap((protocol) =>
    [scoreAgainstBytes, scoreByLength, residentAgainstRead, latencySplit, depthByLength, ...scoreAlong].flatMap(
      (build) => build(summary, protocol, protocols) ?? [],
    ),
  );
  return {
    charts: built.filter((chart): chart is Chart => 'spec' in chart),
    skipped: built.filter((chart): chart is SkippedChart => 'reason' in chart),
  };
};
