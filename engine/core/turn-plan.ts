import { WinnowError } from '../../core/errors.js';
import type { TokenSpan } from '../../methods/contract.js';
import type { PreparedPrompt, PromptParts, SampleRequest } from '../contract.js';
import type { TextModel } from './evaluate.js';

/** One turn of a request, as text and as tokens. */
export interface PlannedTurn {
  readonly asked: Pick<PromptParts, 'question' | 'answerPrefix'>;
  /** Of later turns: what is fed for it. */
  readonly ids?: Int32Array;
  readonly answeredIds?: Int32Array;
  /** Token ranges of the context. */
  readonly evidence: readonly TokenSpan[];
  /** Characters of the context. */
  readonly evidenceText: readonly TokenSpan[];
  readonly maxNewTokens: number;
  readonly stop: readonly string[];
}

export interface TurnPlan {
  /** Tokens of the first question's prompt; its evidence is that of all turns, for controls that keep it. */
  readonly prompt: PreparedPrompt;
  /** The request with the evidence of all turns, and with room for all that is fed after its question. */
  readonly request: SampleRequest;
  /** At least one. */
  readonly turns: readonly PlannedTurn[];
  /** Tokens of its continuation. */
  readonly given?: Int32Array;
}

/** Tokenises a request: its prompt once, its continuation, its further turns. Throws ERR_SUITE. */
export const planTurns = (text: TextModel, request: SampleRequest): TurnPlan => {
  const { prompt: parts, turns: later = [] } = request;
  const given = givenTokens(text, request);
  const all = [
    { ...parts, maxNewTokens: given?.length ?? request.maxNewTokens, stop: request.stop },
    ...later.map((turn) => ({ ...turn, chatTemplate: parts.chatTemplate })),
  ];
  const prepared = text.prepare({ ...parts, evidence: all.flatMap(({ evidence }) => evidence) });
  let first = 0;
  const turns = all.map((turn, index): PlannedTurn => {
    const { question, answerPrefix, evidence, maxNewTokens, stop } = turn;
    const tokens = prepared.evidence.slice(first, first + evidence.length);
    first += evidence.length;
    const own = { asked: { question, answerPrefix }, evidence: tokens, evidenceText: evidence, maxNewTokens, stop };
    if (index === 0) return own;
    if (request.turnsContinue !== true)
      return { ...own, ids: text.prepare({ ...bare(parts), ...own.asked }).questionIds };
    const answered = later[index - 1]!.answered;
    return {
      ...own,
      ids: text.prepareNextTurn(turn),
      ...(answered === undefined ? {} : { answeredIds: text.encodeContinuation(answered, parts.chatTemplate) }),
    };
  });
  const evidence = merged(all.flatMap((turn) => turn.evidence));
  return {
    prompt: later.length === 0 ? prepared : { ...prepared, evidence: merged(prepared.evidence) },
    request: {
      ...request,
      ...(later.length === 0 ? {} : { prompt: { ...parts, evidence } }),
      maxNewTokens: roomAfterQuestion(turns, prepared.questionIds.length, request.turnsContinue === true),
    },
    turns,
    ...(given === undefined ? {} : { given }),
  };
};

const bare = ({ chatTemplate, system }: PromptParts) => ({
  ...{ context: '', documents: [], evidence: [], chatTemplate },
  ...(system === undefined ? {} : { system }),
});

/** Tokens that may stand behind the first question at most. */
const roomAfterQuestion = (turns: readonly PlannedTurn[], questionTokens: number, continues: boolean): number => {
  const [first, ...later] = turns as [PlannedTurn, ...PlannedTurn[]];
  if (!continues)
    return Math.max(
      first.maxNewTokens,
      ...later.map(({ ids, maxNewTokens }) => ids!.length + maxNewTokens - questionTokens),
    );
  let history = 0;
  let room = first.maxNewTokens;
  turns.slice(1).forEach(({ ids, answeredIds, maxNewTokens }, i) => {
    history += (answeredIds?.length ?? turns[i]!.maxNewTokens) + ids!.length;
    room = Math.max(room, history + maxNewTokens);
  });
  return room;
};

const givenTokens = (text: TextModel, { sampleId, continuation, prompt }: SampleRequest): Int32Array | undefined => {
  if (continuation === undefined) return undefined;
  const ids = text.encodeContinuation(continuation, prompt.chatTemplate);
  if (ids.length > 0) return ids;
  throw new WinnowError('ERR_SUITE', `sample ${sampleId}, continuation`, 'at least one token', continuation);
};

/** In order and apart. */
const merged = (spans: readonly TokenSpan[]): TokenSpan[] => {
  const out: TokenSpan[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start || a.end - b.end)) {
    const last = out.at(-1);
    if (last !== undefined && span.start <= last.end)
      out[out.length - 1] = { start: last.start, end: Math.max(last.end, span.end) };
    else out.push(span);
  }
  return out;
};
