import type { PairedSample } from '../compare/pairing.js';
import type { CellFacts, ScoredSample } from '../schema.js';
import { figure, type GateRow, placeOf } from './gate-row.js';
import type { Policy } from './policy.js';

/**
 * Counted quantities, sample by sample: a cost that grows by more than the tolerance in any sample (a recall that falls) is a regression.
 * They are the same on every machine, so nothing has to be estimated. One row for each quantity that is not well, one for all others.
 */
export const checkCounted = (cell: CellFacts, pairs: readonly PairedSample[], { counted }: Policy): GateRow[] => {
  const rows: GateRow[] = [];
  let equal = 0;
  const improved: string[] = [];
  for (const quantity of counted.quantities) {
    const measured = pairs.filter(({ theirs }) => theirs[quantity] !== undefined);
    if (measured.length === 0) continue;
    const lost = measured.find(({ ours }) => ours[quantity] === undefined);
    if (lost !== undefined) {
      const detail = `${quantity} was measured in the baseline and is not any more (sample ${lost.ours.sampleId})`;
      rows.push({ ...placeOf(cell), check: 'counted', quantity, verdict: 'missing', detail, effect: 1 });
      continue;
    }
    const values = measured.map(({ ours, theirs }) => ({
      sampleId: ours.sampleId,
      candidate: ours[quantity] as number,
      baseline: theirs[quantity] as number,
    }));
    const worst = values.reduce((a, b) => (lossOf(quantity, b) > lossOf(quantity, a) ? b : a));
    const loss = lossOf(quantity, worst);
    if (loss > counted.tolerance + 1e-12) {
      const { baseline, candidate, sampleId } = worst;
      const more = values.filter((value) => lossOf(quantity, value) > counted.tolerance + 1e-12).length;
      rows.push({
        ...placeOf(cell),
        ...{ check: 'counted', quantity, verdict: 'regression', baseline, candidate, effect: loss, n: values.length },
        detail: `${quantity} ${figure(baseline)} -> ${figure(candidate)} in sample ${sampleId}, worse in ${more} of ${values.length} samples`,
      });
    } else if (values.some((value) => lossOf(quantity, value) < -1e-12)) improved.push(quantity);
    else equal++;
  }
  const words = [
    ...(equal > 0 ? [`${equal} quantities equal`] : []),
    ...(improved.length > 0 ? [`improved: ${improved.join(', ')}`] : []),
  ];
  if (words.length > 0)
    rows.push({
      ...placeOf(cell),
      ...{ check: 'counted', quantity: 'counted', verdict: 'pass', detail: words.join('; '), effect: 0 },
      n: pairs.length,
    });
  return rows;
};

/** Share by which a sample became worse; negative where it became better. From nothing to something counts whole. */
const lossOf = (quantity: string, { baseline, candidate }: { baseline: number; candidate: number }): number => {
  const growth = candidate === baseline ? 0 : baseline === 0 ? Math.sign(candidate) : candidate / baseline - 1;
  return quantity === 'evidenceRecall' ? -growth : growth;
};

/** Answers, token for token: in reference numerics nothing but a change of behaviour changes them. */
export const checkOutputs = (cell: CellFacts, pairs: readonly PairedSample[]): GateRow => {
  const changed = pairs.filter(({ ours, theirs }) => !isSameOutput(ours, theirs));
  const [first] = changed;
  const head = { ...placeOf(cell), check: 'outputs', quantity: 'prediction', n: pairs.length } as const;
  if (first === undefined) return { ...head, verdict: 'pass', detail: `${pairs.length} outputs equal`, effect: 0 };
  return {
    ...head,
    verdict: 'regression',
    detail: `${changed.length} of ${pairs.length} outputs changed, first sample ${first.ours.sampleId}: ${quoted(first.theirs.prediction)} -> ${quoted(first.ours.prediction)}`,
    effect: changed.length / pairs.length,
  };
};

export const isSameOutput = (ours: ScoredSample, theirs: ScoredSample): boolean =>
  ours.prediction === theirs.prediction &&
  ours.score === theirs.score &&
  ours.generatedTokens === theirs.generatedTokens &&
  ours.finishReason === theirs.finishReason;

const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
