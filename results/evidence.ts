/** Whether a setting finds the evidence, keeps it, and uses it: three things that one score mixes. */
import { mean, withoutNoise } from '../core/statistics.js';
import type { SampleRecord, ScoredSample } from './schema.js';
import { type CellSummary, settingLabel } from './summary.js';

/** Cells whose task name ends so ask for the evidence of the cells without the suffix. */
const SUFFIX = '-evidence';

/** Evidence recall from which a sample counts as kept, and score from which it counts as right. */
export const KEPT_FROM = 0.8;
export const RIGHT_FROM = 0.5;

/** Samples by whether the answer was right and its evidence was still there. */
export interface Faithfulness {
  readonly rightKept: number;
  /** Right without its evidence: guessed, known before, or read from what is left of it. */
  readonly rightLost: number;
  /** Had it and failed. */
  readonly wrongKept: number;
  readonly wrongLost: number;
}

export interface EvidenceDiagnosis {
  /** Mean F1 of the documents that the setting names when it is asked for them. */
  readonly access: number;
  /** Mean answer score over the samples in which it named every one needed and no other; undefined when there is none. */
  readonly useGivenAccess?: number;
  readonly samplesWithAccess: number;
}

/** Undefined for cells without evidence recall. */
export const faithfulness = (samples: readonly SampleRecord[]): Faithfulness | undefined => {
  const known = samples.filter(
    (sample): sample is ScoredSample => sample.status === 'ok' && sample.evidenceRecall !== undefined,
  );
  if (known.length === 0) return undefined;
  const counted = (right: boolean, kept: boolean): number =>
    known.filter((one) => one.score >= RIGHT_FROM === right && one.evidenceRecall! >= KEPT_FROM === kept).length;
  return {
    rightKept: counted(true, true),
    rightLost: counted(true, false),
    wrongKept: counted(false, true),
    wrongLost: counted(false, false),
  };
};

/** By answering cell, where the same setting was asked for the evidence of the same task, length and protocol. */
export const evidenceDiagnoses = (cells: readonly CellSummary[]): Map<CellSummary, EvidenceDiagnosis> => {
  const keyOf = (cell: CellSummary, taskName: string): string =>
    JSON.stringify([taskName, cell.facts.contextLength, cell.facts.protocol, settingLabel(cell)]);
  const asking = new Map(
    cells
      .filter(({ facts, record }) => facts.ask === 'evidence' && record.status === 'ok')
      .map((cell) => [keyOf(cell, cell.facts.taskName), cell]),
  );
  const found = new Map<CellSummary, EvidenceDiagnosis>();
  for (const cell of cells) {
    if (cell.facts.ask !== undefined || cell.record.status !== 'ok') continue;
    const access = asking.get(keyOf(cell, `${cell.facts.taskName}${SUFFIX}`));
    if (access !== undefined) found.set(cell, diagnosis(cell, access));
  }
  return found;
};

const diagnosis = (cell: CellSummary, asking: CellSummary): EvidenceDiagnosis => {
  const scores = scoresOf(cell.samples);
  const accesses = scoresOf(asking.samples);
  const used = [...accesses].flatMap(([sampleId, access]) => {
    const score = scores.get(sampleId);
    return access === 1 && score !== undefined ? [score] : [];
  });
  return {
    access: withoutNoise(mean([...accesses.values()])),
    ...(used.length === 0 ? {} : { useGivenAccess: withoutNoise(mean(used)) }),
    samplesWithAccess: used.length,
  };
};

const scoresOf = (samples: readonly SampleRecord[]): Map<string, number> =>
  new Map(samples.flatMap((sample) => (sample.status === 'ok' ? [[sample.sampleId, sample.score] as const] : [])));
