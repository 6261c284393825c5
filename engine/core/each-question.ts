import { WinnowError } from '../../core/errors.js';
import type { SampleOutcome, SampleRequest, SettingOutcome, SettingResult } from '../contract.js';
import { type EvaluateContext, evaluateTogether } from './evaluate.js';
import { combineTurns } from './turn-outcome.js';

/**
 * Evaluates samples as one batch. Turns that stand alone share one compressed context where methods compress without a question; under the
 * query-aware protocol every turn is a sample of its own instead, since a method has seen the question when it compresses.
 */
export const evaluateSamples = async (
  context: EvaluateContext,
  requests: readonly SampleRequest[],
): Promise<SampleOutcome[]> => {
  const outcomes = new Map<SampleRequest, SampleOutcome[]>();
  const turnsOf = new Map(requests.map((request) => [request, asSingles(request)]));
  const most = requests.reduce((count, request) => Math.max(count, turnsOf.get(request)!.length), 1);
  for (let turn = 0; turn < most; turn++) {
    const asked = requests.filter((request) => turn < turnsOf.get(request)!.length);
    const answered = await evaluateTogether(
      context,
      asked.map((request) => turnsOf.get(request)![turn]!),
    );
    asked.forEach((request, i) => {
      outcomes.set(request, [...(outcomes.get(request) ?? []), answered[i]!]);
    });
  }
  return requests.map((request) => {
    const turns = outcomes.get(request)!;
    return turns.length === 1 ? turns[0]! : combined(request, turns);
  });
};

/** All settings of one sample. */
export const evaluateSample = async (context: EvaluateContext, request: SampleRequest): Promise<SampleOutcome> =>
  (await evaluateSamples(context, [request]))[0]!;

const asSingles = (request: SampleRequest): SampleRequest[] => {
  const { turns = [], turnsContinue = false, ...first } = request;
  if (request.continuation !== undefined && turns.length > 0)
    throw new WinnowError(
      'ERR_SUITE',
      `sample ${request.sampleId}, continuation`,
      'either a continuation or turns',
      `both, ${turns.length} turns`,
    );
  if (turns.length === 0 || turnsContinue || request.protocol !== 'query-aware') return [request];
  const others = turns.map(({ question, answerPrefix, evidence, maxNewTokens, stop }) => ({
    ...first,
    prompt: { ...first.prompt, question, answerPrefix, evidence },
    ...{ maxNewTokens, stop },
  }));
  return [first, ...others];
};

const combined = (request: SampleRequest, turns: readonly SampleOutcome[]): SampleOutcome => {
  const sum = (read: (turn: SampleOutcome) => number): number => turns.reduce((total, turn) => total + read(turn), 0);
  return {
    sampleId: request.sampleId,
    outcomes: request.settings.map(({ key }, i): SettingOutcome => {
      const own = turns.map(({ outcomes }) => outcomes[i]!);
      const failed = own.find(({ status }) => status !== 'ok');
      if (failed !== undefined) return failed;
      const results: readonly SettingResult[] = own.flatMap((turn) => (turn.status === 'ok' ? [turn] : []));
      const total = (read: (result: SettingResult) => number): number =>
        results.reduce((all, result) => all + read(result), 0);
      const together = combineTurns(
        results,
        'each-question',
        total(({ promptTokens }) => promptTokens),
      );
      const auxiliaryTokens = total((result) => result.auxiliaryTokens);
      return { ...together, key, status: 'ok', auxiliaryTokens };
    }),
    prefills: sum(({ prefills }) => prefills),
    prefillsUnshared: sum(({ prefillsUnshared }) => prefillsUnshared),
    nativeMs: sum(({ nativeMs }) => nativeMs),
    totalMs: sum(({ totalMs }) => totalMs),
  };
};
