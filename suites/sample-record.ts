import type { SettingOutcome, SettingResult } from '../engine/contract.js';
import type { SampleRecord } from '../results/schema.js';
import type { Sample } from './contract.js';

/** What a score is made from. */
export type ScoredOutcome = Pick<SettingResult, 'text' | 'given'>;

/** What is written for one sample of one cell: the outcome of its setting, scored. `index` is the sample's place in the cell. */
export const recordOf = (
  sample: Sample,
  index: number,
  outcome: SettingOutcome,
  score: (outcome: ScoredOutcome) => number,
): SampleRecord => {
  const head = {
    sampleId: sample.id,
    index,
    ...(Object.keys(sample.meta).length === 0 ? {} : { meta: { ...sample.meta } }),
  };
  if (outcome.status !== 'ok') return { ...head, status: outcome.status, error: outcome.error };
  return {
    ...head,
    status: 'ok',
    prediction: outcome.text,
    references: [...sample.references],
    question: sample.question,
    ...(sample.classes === undefined ? {} : { classes: [...sample.classes] }),
    score: score(outcome),
    ...(outcome.given === undefined ? {} : { given: outcome.given }),
    finishReason: outcome.finishReason,
    promptTokens: outcome.promptTokens,
    contextTokens: outcome.contextTokens,
    generatedTokens: outcome.tokenIds.length,
    kvCacheBytes: outcome.kvCacheBytes,
    kvCacheBytesPeak: outcome.kvCacheBytesPeak,
    expectedKvCacheBytes: outcome.expectedKvCacheBytes,
    kvBytesReadPerStep: outcome.kvBytesReadPerStep,
    ...(outcome.kvBytesMovedPerStep === undefined ? {} : { kvBytesMovedPerStep: outcome.kvBytesMovedPerStep }),
    ...(outcome.evidenceRecall === undefined ? {} : { evidenceRecall: outcome.evidenceRecall }),
    density: outcome.density,
    auxiliaryTokens: outcome.auxiliaryTokens,
    indexBytes: outcome.indexBytes,
    ...(outcome.kept === undefined ? {} : { kept: outcome.kept.map((heads) => heads.map((slots) => [...slots])) }),
  };
};
