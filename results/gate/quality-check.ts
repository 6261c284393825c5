import { holm } from '../../core/statistics/multiple-testing.js';
import { createBootstrap } from '../../core/statistics-bootstrap.js';
import { type JudgeOptions, judgeCell, judgeSetting, type PairedScores } from '../compare/paired-scores.js';
import { type PairedSample, settingKey } from '../compare/pairing.js';
import { signed } from '../numbers.js';
import type { CellFacts, RunRecord } from '../schema.js';
import { isSameOutput } from './exact-checks.js';
import { type GateRow, type GateVerdict, placeOf, settingOf } from './gate-row.js';
import type { Policy } from './policy.js';

export interface PairedCell {
  readonly cell: CellFacts;
  readonly pairs: readonly PairedSample[];
}

/**
 * Scores by paired tests of one direction: a regression is a loss of at least the margin that signs by chance would hardly give (Holm over all
 * rows); a pass is a loss that the interval keeps within the margin, or the same outputs. Anything else is inconclusive and says what the
 * samples could have found.
 */
export const checkQuality = (
  cells: readonly PairedCell[],
  { quality }: Policy,
  { statistics }: Pick<RunRecord, 'statistics'>,
): GateRow[] => {
  const { seed, draws } = statistics;
  const level = 1 - 2 * quality.alpha;
  const options: JudgeOptions = {
    margin: quality.margin,
    alpha: quality.alpha,
    alternative: 'less',
    bootstrap: createBootstrap({ seed, draws, level }),
    bootstrapOptions: { seed, draws, level },
  };
  const groups = new Map<string, PairedCell[]>();
  for (const paired of cells) {
    const key = quality.per === 'cell' ? paired.cell.cellId : `${paired.cell.protocol} ${settingKey(paired.cell)}`;
    groups.set(key, [...(groups.get(key) ?? []), paired]);
  }
  const rows: GateRow[] = [];
  const tested: { readonly place: ReturnType<typeof placeIn>; readonly scores: PairedScores }[] = [];
  for (const members of groups.values()) {
    const place = placeIn(members, quality.per);
    const pairs = members.flatMap((member) => member.pairs);
    if (pairs.every(({ ours, theirs }) => isSameOutput(ours, theirs)))
      rows.push({
        ...place,
        ...{ check: 'quality', quantity: 'score', verdict: 'pass', effect: 0, n: pairs.length },
        detail: `the same ${pairs.length} outputs`,
      });
    else {
      const scores =
        members.length === 1
          ? judgeCell(members[0]!.pairs, options)
          : judgeSetting(
              members.map((member) => member.pairs),
              options,
            );
      tested.push({ place, scores });
    }
  }
  const adjusted = holm(tested.map(({ scores }) => scores.p));
  return [...rows, ...tested.map(({ place, scores }, i) => judged(place, scores, adjusted[i]!, quality))];
};

const placeIn = (members: readonly PairedCell[], per: Policy['quality']['per']) => {
  const { cell } = members[0]!;
  return per === 'cell' ? placeOf(cell) : { ...settingOf(cell), protocol: cell.protocol };
};

const judged = (
  place: ReturnType<typeof placeIn>,
  scores: PairedScores,
  pAdjusted: number,
  { margin, alpha }: Policy['quality'],
): GateRow => {
  const { mean, low, high } = scores.difference;
  const verdict: GateVerdict =
    pAdjusted <= alpha && mean <= -margin ? 'regression' : low >= -margin ? 'pass' : 'inconclusive';
  const found = scores.detectable === undefined ? 'nothing' : `losses from ${scores.detectable.toFixed(3)}`;
  const settles = `; ${scores.pairs} pairs find ${found}, a loss of ${margin} needs ${scores.pairsForMargin}`;
  return {
    ...place,
    ...{ check: 'quality', quantity: 'score', verdict, baseline: scores.otherScore, candidate: scores.score },
    ...{ low, high, n: scores.pairs, p: scores.p, pAdjusted, effect: Math.max(0, -mean) },
    detail: `score ${scores.otherScore.toFixed(3)} -> ${scores.score.toFixed(3)}, Δ ${signed(mean)} [${signed(low)}, ${signed(high)}], worse ${scores.worse}, better ${scores.better}, p ${scores.p.toPrecision(2)}, with Holm ${pAdjusted.toPrecision(2)}${verdict === 'inconclusive' ? settles : ''}`,
  };
};
