import { contentHash } from '../core/canonical-json.js';
import type { SettingOutcome, SettingResult, TurnResult } from '../engine/contract.js';
import type { SampleRecord, ScoredSample, TurnRecord } from '../results/schema.js';
import type { Sample, Scorer } from './contract.js';

/** What a score is made from. */
export type ScoredOutcome = Pick<SettingResult, 'text' | 'given'>;
export type ScoreOf = (asked: Parameters<Scorer>[1], outcome: ScoredOutcome) => number;
/** Of answers in steps: the score of each. */
export type StepsOf = (asked: Parameters<Scorer>[1], outcome: ScoredOutcome) => readonly number[];

/** What identifies what was asked, before any method changed it: equal for all settings and runs that asked the same. */
export const promptHash = ({ context, documents, question, answerPrefix, continuation, turns }: Sample): string =>
  contentHash([
    context,
    documents,
    question,
    answerPrefix,
    continuation ?? null,
    (turns ?? []).map((turn) => [turn.question, turn.answerPrefix]),
  ]).slice(0, 16);

/** What is written for one sample of one cell: the outcome of its setting, scored. `index` is the sample's place in the cell. */
export const recordOf = (
  sample: Sample,
  index: number,
  outcome: SettingOutcome,
  score: ScoreOf,
  stepsOf?: StepsOf,
): SampleRecord => {
  const head = { sampleId: sample.id, index, ...metaOf(sample) };
  if (outcome.status !== 'ok') return { ...head, status: outcome.status, error: outcome.error };
  const turns = outcome.turns?.map((turn, i) => turnRecord(i === 0 ? sample : sample.turns![i - 1]!, turn, score));
  return {
    ...head,
    status: 'ok',
    prediction: outcome.text,
    references: [...sample.references],
    question: sample.question,
    ...(sample.classes === undefined ? {} : { classes: [...sample.classes] }),
    score:
      turns === undefined ? score(sample, outcome) : turns.reduce((sum, turn) => sum + turn.score, 0) / turns.length,
    ...(stepsOf === undefined ? {} : { stepScores: [...stepsOf(sample, outcome)] }),
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
    ...(turns === undefined ? {} : { turns }),
    ...(outcome.compressedFor === undefined ? {} : { compressedFor: outcome.compressedFor }),
    ...(outcome.kept === undefined ? {} : { kept: outcome.kept.map((heads) => heads.map((slots) => [...slots])) }),
  };
};

const metaOf = ({ meta }: Pick<Sample, 'meta'>): Pick<ScoredSample, 'meta'> =>
  Object.keys(meta).length === 0 ? {} : { meta: { ...meta } };

const turnRecord = (asked: Parameters<Scorer>[1], turn: TurnResult, score: ScoreOf): TurnRecord => ({
  prediction: turn.text,
  references: [...asked.references],
  question: asked.question,
  ...(asked.classes === undefined ? {} : { classes: [...asked.classes] }),
  score: score(asked, turn),
  finishReason: turn.finishReason,
  promptTokens: turn.promptTokens,
  generatedTokens: turn.tokenIds.length,
  kvCacheBytes: turn.kvCacheBytes,
  kvCacheBytesPeak: turn.kvCacheBytesPeak,
  kvBytesReadPerStep: turn.kvBytesReadPerStep,
  ...(turn.evidenceRecall === undefined ? {} : { evidenceRecall: turn.evidenceRecall }),
  ...metaOf(asked),
});
