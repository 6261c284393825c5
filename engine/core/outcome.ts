import { type ErrorCode, WinnowError } from '../../core/errors.js';
import type { PreparedPrompt, SettingOutcome, SettingResult } from '../contract.js';
import type { DecodedRow } from './decode.js';
import { measureOf } from './given.js';
import type { RewrittenPrompt } from './rewrite-prompt.js';
import type { ModelContext, OpenSample } from './sample.js';
import type { ResolvedSetting } from './settings.js';

/** Settings of one sample that see the same prompt. */
export interface Job {
  readonly settings: readonly ResolvedSetting[];
  /** What they run on: the open model, or what a conversion made of it. */
  readonly model: ModelContext;
  readonly prompt: PreparedPrompt;
  /** Of prompt methods: what came of the rewriting. */
  readonly rewritten?: Omit<RewrittenPrompt, 'prompt'>;
}

/** The answer of one setting: its text is cut before the first stop string. */
export const outcomeOf = (
  decodeText: (ids: readonly number[]) => string,
  stops: readonly string[],
  job: Job,
  setting: ResolvedSetting,
  sample: OpenSample,
  row: DecodedRow,
): SettingResult => {
  const text = decodeText(row.given === undefined ? row.tokenIds : [...row.given.greedy]);
  const stop = row.given === undefined ? firstStop(text, stops) : -1;
  const pairs = sample.density.get(setting.key);
  const kept = sample.kept.get(setting.key);
  const cached = sample.recall.get(setting.key) ?? Number.NaN;
  const recall = job.rewritten?.evidenceKept ?? (Number.isNaN(row.recallRead) ? cached : row.recallRead);
  return {
    text: stop >= 0 ? text.slice(0, stop) : text,
    tokenIds: row.tokenIds,
    finishReason: row.finishReason,
    ...(row.given === undefined ? {} : { given: measureOf(row.given) }),
    promptTokens: job.prompt.contextIds.length + job.prompt.questionIds.length,
    contextTokens: job.prompt.contextIds.length,
    kvCacheBytes: row.kvCacheBytes,
    kvCacheBytesPeak: row.kvCacheBytesPeak,
    expectedKvCacheBytes: row.expectedKvCacheBytes,
    kvBytesReadPerStep: row.kvBytesReadPerStep,
    ...(row.kvBytesMovedPerStep === undefined ? {} : { kvBytesMovedPerStep: row.kvBytesMovedPerStep }),
    ...(Number.isNaN(recall) ? {} : { evidenceRecall: recall }),
    density: pairs === undefined || pairs.causalPairs === 0 ? 1 : pairs.pairs / pairs.causalPairs,
    auxiliaryTokens: (job.rewritten?.auxiliaryTokens ?? 0) + sample.auxiliaryTokens(setting.key),
    ...(kept === undefined ? {} : { kept }),
    indexBytes: job.rewritten?.indexBytes ?? 0,
  };
};

/** Where the first stop string begins; -1 when the text holds none. */
export const firstStop = (text: string, stops: readonly string[]): number => {
  let first = -1;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
};

export const failedOutcome = (key: string, error: WinnowError | undefined): SettingOutcome => {
  const known = error ?? new WinnowError('ERR_INTERNAL', key, 'a result', 'none');
  return { key, status: failureStatus(known.code), error: { code: known.code, message: known.message } };
};

export const failureStatus = (code: ErrorCode): 'failed' | 'unsupported' | 'out-of-memory' => {
  if (code === 'ERR_UNSUPPORTED' || code === 'ERR_BUDGET') return 'unsupported';
  return code === 'ERR_OUT_OF_MEMORY' ? 'out-of-memory' : 'failed';
};
