import type { SettingOutcome, SettingResult, TurnResult } from '../contract.js';
import { type Job, outcomeOf } from './outcome.js';
import type { OpenSample } from './sample.js';
import type { ResolvedSetting } from './settings.js';
import type { TurnPlan } from './turn-plan.js';
import type { Answered } from './turns.js';

/** What a setting answered to the turns of a plan; undefined when it failed in any. */
export const answerOf = (
  decodeText: (ids: readonly number[]) => string,
  { turns, request }: Pick<TurnPlan, 'turns' | 'request'>,
  job: Job,
  setting: ResolvedSetting,
  sample: OpenSample,
  answered: Answered,
): SettingOutcome | undefined => {
  const { key } = setting;
  const results: SettingResult[] = [];
  for (const [index, { stop, evidenceText }] of turns.entries()) {
    const own = answered.turns[index]!;
    const row = own.rows.get(key);
    if (row === undefined || answered.failures.has(key)) return undefined;
    const seen = { ...sample, recall: own.recall };
    const result = outcomeOf(decodeText, stop, forEvidence(job, evidenceText), setting, seen, row);
    results.push({ ...result, promptTokens: own.promptTokens.get(key)! });
  }
  if (results.length === 1) return { key, status: 'ok', ...results[0]! };
  const contextTokens = results[0]!.contextTokens;
  const fed =
    request.turnsContinue === true
      ? results.at(-1)!.promptTokens
      : results.reduce((sum, { promptTokens }) => sum + promptTokens - contextTokens, contextTokens);
  const combined = combineTurns(results, request.protocol === 'query-agnostic' ? 'context' : 'first-question', fed);
  const inTurns = answered.turns.reduce((sum, { auxiliaryTokens }) => sum + auxiliaryTokens.get(key)!, 0);
  return { key, status: 'ok', ...combined, auxiliaryTokens: combined.auxiliaryTokens + inTurns };
};

const forEvidence = (job: Job, evidence: TurnPlan['turns'][number]['evidenceText']): Job =>
  job.rewritten === undefined
    ? job
    : { ...job, rewritten: { ...job.rewritten, evidenceKept: job.rewritten.evidenceKeptOf(evidence) } };

/** Several turns of one setting as one result; at least one. `promptTokens`: fed in all. */
export const combineTurns = (
  results: readonly SettingResult[],
  compressedFor: NonNullable<SettingResult['compressedFor']>,
  promptTokens: number,
): SettingResult => {
  const [first] = results as [SettingResult, ...SettingResult[]];
  const meanOf = (read: (result: SettingResult) => number | undefined): number => {
    const known = results.map(read).filter((value) => value !== undefined);
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  const evidenceRecall = meanOf((result) => result.evidenceRecall);
  const moved = meanOf((result) => result.kvBytesMovedPerStep);
  return {
    ...first,
    tokenIds: results.flatMap(({ tokenIds }) => tokenIds),
    finishReason: results.at(-1)!.finishReason,
    promptTokens,
    kvCacheBytes: meanOf((result) => result.kvCacheBytes),
    kvCacheBytesPeak: results.reduce((most, { kvCacheBytesPeak }) => Math.max(most, kvCacheBytesPeak), 0),
    kvBytesReadPerStep: meanOf((result) => result.kvBytesReadPerStep),
    ...(Number.isNaN(moved) ? {} : { kvBytesMovedPerStep: moved }),
    expectedKvCacheBytes: meanOf((result) => result.expectedKvCacheBytes),
    ...(Number.isNaN(evidenceRecall) ? {} : { evidenceRecall }),
    density: meanOf((result) => result.density),
    turns: results.map(turnOf),
    compressedFor,
  };
};

const turnOf = (result: SettingResult): TurnResult => ({
  text: result.text,
  tokenIds: result.tokenIds,
  finishReason: result.finishReason,
  promptTokens: result.promptTokens,
  kvCacheBytes: result.kvCacheBytes,
  kvCacheBytesPeak: result.kvCacheBytesPeak,
  kvBytesReadPerStep: result.kvBytesReadPerStep,
  ...(result.evidenceRecall === undefined ? {} : { evidenceRecall: result.evidenceRecall }),
});
