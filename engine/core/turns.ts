/** Questions put to open samples: one, or several turns over a context that was fed and compressed once. */
import type { WinnowError } from '../../core/errors.js';
import type { TokenSpan } from '../../methods/contract.js';
import { openCompanions } from './companions.js';
import { type DecodedRow, decode } from './decode.js';
import { concat } from './fed-prompt.js';
import { forkGroup, freeGroup, type Group } from './group.js';
import { cacheRecall } from './rows.js';
import type { ModelContext, OpenSample } from './sample.js';
import type { ResolvedSetting } from './settings.js';

export interface Turn {
  /** Fed for it: after compression, or after the answer before. */
  readonly ids: Int32Array;
  /** Of a later turn of a conversation: what stands as the answer before it; absent: what the row said. */
  readonly answeredIds?: Int32Array;
  /** Token ranges of the context. */
  readonly evidence: readonly TokenSpan[];
  readonly maxNewTokens: number;
  holdsStop(tokens: readonly number[]): boolean;
  /** Prompts of twin rows, where the sample itself has none open. */
  companions?(setting: ResolvedSetting): readonly Int32Array[];
}

/** What is asked of one open sample. */
export interface Asking {
  readonly sample: OpenSample;
  /** In order; without `several` the only one. */
  readonly turns: readonly Turn[];
  /** Each turn goes on after the one before. */
  readonly continues: boolean;
  /** Answers come from forks of the compressed sample, which stays as it is. */
  readonly several: boolean;
  /** Tokens before the first turn's. */
  readonly before: Int32Array;
  /** Tokens of the only turn's answer. */
  readonly given?: Int32Array;
}

/** The rows of one turn and the facts about their caches when its question came. */
export interface AnsweredTurn {
  readonly rows: ReadonlyMap<string, DecodedRow>;
  /** All tokens before the answer. */
  readonly promptTokens: ReadonlyMap<string, number>;
  readonly recall: ReadonlyMap<string, number>;
  readonly auxiliaryTokens: ReadonlyMap<string, number>;
}
export interface Answered {
  readonly turns: readonly AnsweredTurn[];
  /** Settings whose hooks threw in any turn. */
  readonly failures: ReadonlyMap<string, WinnowError>;
}

export interface AnswerRequest {
  isStop(token: number): boolean;
  readonly recallSteps: number;
}

/** Rows on their way to one answer. */
interface Ask {
  readonly asking: Asking;
  readonly turn: number;
  readonly groups: readonly Group[];
  readonly tailIds: Int32Array;
  readonly promptIds: Int32Array;
  readonly recall: ReadonlyMap<string, number>;
  /** Whether its groups are forks, to be freed after the answer. */
  readonly owned: boolean;
}

/** Rows as they stood after a question, for the next turn: taken before the answer, which is fed to forks that end with it. */
interface Kept {
  readonly ask: Ask;
  readonly group: Group;
}

/**
 * Decodes every turn of every sample. Turns that stand alone are one batch, each on a fork of the compressed caches; the turns of a
 * conversation follow one another, each on a fork taken after the question before, to which the answer and the next question are fed
 * together. A row never sees a later question.
 */
export const answerTurns = (model: ModelContext, askings: readonly Asking[], request: AnswerRequest): Answered[] => {
  const answered = askings.map(({ turns }) => ({
    turns: turns.map(() => ({
      rows: new Map<string, DecodedRow>(),
      promptTokens: new Map<string, number>(),
      recall: new Map<string, number>(),
      auxiliaryTokens: new Map<string, number>(),
    })),
    failures: new Map<string, WinnowError>(),
  }));
  let kept: Kept[] = [];
  let asks: Ask[] = [];
  try {
    for (const asking of askings) asks.push(...firstAsks(model, asking));
    while (asks.length > 0) {
      let isFed = false;
      const decoded = decode(
        model,
        asks.map(({ asking, turn, groups, tailIds, promptIds }) => {
          const { maxNewTokens, holdsStop } = asking.turns[turn]!;
          const given = asking.given === undefined ? {} : { given: asking.given };
          return { sample: { ...asking.sample, groups, promptIds }, tailIds, maxNewTokens, holdsStop, ...given };
        }),
        {
          ...request,
          onToken() {
            if (!isFed) for (const ask of asks) keepForNext(model, ask, kept);
            isFed = true;
          },
        },
      );
      asks.forEach((ask, i) => {
        const { rows, failures } = decoded[i]!;
        const into = answered[askings.indexOf(ask.asking)]!;
        const turn = into.turns[ask.turn]!;
        for (const [key, error] of failures) into.failures.set(key, error);
        for (const [key, row] of rows) turn.rows.set(key, row);
        for (const { rows: members, auxiliaryTokens } of ask.groups)
          for (const { key } of members) {
            turn.promptTokens.set(key, ask.promptIds.length);
            turn.recall.set(key, ask.recall.get(key) ?? Number.NaN);
            turn.auxiliaryTokens.set(key, auxiliaryTokens);
          }
      });
      free(model, asks);
      asks = [];
      const waiting = kept;
      kept = [];
      for (const one of waiting) {
        const { turns, failures } = answered[askings.indexOf(one.ask.asking)]!;
        if (one.group.rows.some(({ key }) => failures.has(key))) freeGroup(model, one.group);
        else asks.push(nextAsk(model, one, turns[one.ask.turn]!.rows));
      }
    }
  } finally {
    free(model, asks);
    for (const { group } of kept) freeGroup(model, group);
  }
  return answered;
};

const free = (model: ModelContext, asks: readonly Ask[]): void => {
  for (const { groups, owned } of asks) if (owned) for (const group of groups) freeGroup(model, group);
};

const firstAsks = (model: ModelContext, asking: Asking): Ask[] => {
  const { sample, turns, continues, several, before } = asking;
  if (!several) {
    const { groups, promptIds, recall } = sample;
    return [{ asking, turn: 0, groups, tailIds: turns[0]!.ids, promptIds, recall, owned: false }];
  }
  return (continues ? turns.slice(0, 1) : turns).map((turn, index) => {
    const groups = sample.groups.map((group) => forkGroup(model, group, { evidence: turn.evidence }));
    for (const group of groups) openCompanions(model, group, turn.companions?.(group.rows[0]!.resolved) ?? []);
    return {
      ...{ asking, turn: index, groups, tailIds: turn.ids, owned: true },
      promptIds: concat(before, turn.ids),
      recall: recallOf(model, groups),
    };
  });
};

/** Rows whose own answers stand in the history are apart from here on: the next turn feeds each another number of tokens. */
const keepForNext = (model: ModelContext, ask: Ask, kept: Kept[]): void => {
  const { asking, turn, groups } = ask;
  const next = asking.continues ? asking.turns[turn + 1] : undefined;
  if (next === undefined) return;
  for (const group of groups) {
    const all = [...group.rows.keys()];
    for (const members of next.answeredIds === undefined ? all.map((r) => [r]) : [all])
      kept.push({ ask, group: forkGroup(model, group, { members, evidence: next.evidence }) });
  }
};

const nextAsk = (model: ModelContext, { ask, group }: Kept, rows: ReadonlyMap<string, DecodedRow>): Ask => {
  const { asking } = ask;
  const turn = ask.turn + 1;
  const { ids, answeredIds } = asking.turns[turn]!;
  const answer = answeredIds ?? Int32Array.from(rows.get(group.rows[0]!.key)!.tokenIds);
  const tailIds = concat(answer, ids);
  const promptIds = concat(ask.promptIds, tailIds);
  return { asking, turn, groups: [group], tailIds, promptIds, recall: recallOf(model, [group]), owned: true };
};

/** Evidence still cached; NaN where a turn has none, and where a method moved the context: its slots say no positions of the text. */
const recallOf = ({ device, shapes }: ModelContext, groups: readonly Group[]): Map<string, number> =>
  new Map(
    groups.flatMap(({ rows }) =>
      rows.map((row) => {
        const isKnown = row.evidence.length > 0 && row.resolved.hooks().assemble === undefined;
        return [row.key, isKnown ? cacheRecall(device, row, shapes) : Number.NaN] as const;
      }),
    ),
  );
