import { createRandom } from '../core/random.js';
import type { PromptParts, SampleRequest, SettingRequest, TimingRequest } from '../engine/contract.js';
import type { PlannedCell, ResolvedSuite, Sample } from './contract.js';
import type { CellGroup } from './run-groups.js';
import { TIMED_TOKENS } from './run-timing.js';

/** What a cell asks of the engine; its id names the answer. */
export const settingOf = ({ cellId, method, keptFraction, tokenBudget }: PlannedCell): SettingRequest => ({
  key: cellId,
  method,
  ...(keptFraction === undefined ? {} : { keptFraction }),
  ...(tokenBudget === undefined ? {} : { tokenBudget }),
});

/** The seed of what is random inside the engine for one sample: equal for all settings of it, different between samples. */
export const sampleSeed = (suite: Pick<ResolvedSuite, 'seed'>, group: CellGroup, sampleId: string): number =>
  createRandom(suite.seed, 'sample', group.taskName, group.contextLength, sampleId).uint32();

const promptOf = (suite: ResolvedSuite, sample: Sample): PromptParts => ({
  context: sample.context,
  question: sample.question,
  answerPrefix: sample.answerPrefix,
  documents: sample.documents,
  evidence: sample.evidence,
  chatTemplate: suite.chatTemplate && sample.chatTemplate !== false,
});

export const sampleRequest = (
  suite: ResolvedSuite,
  group: CellGroup,
  sample: Sample,
  cells: readonly PlannedCell[],
  traceKept: boolean,
): SampleRequest => ({
  sampleId: sample.id,
  seed: sampleSeed(suite, group, sample.id),
  prompt: promptOf(suite, sample),
  protocol: group.protocol,
  settings: cells.map(settingOf),
  maxNewTokens: sample.maxNewTokens,
  stop: sample.stop,
  ...(sample.continuation === undefined ? {} : { continuation: sample.continuation }),
  ...turnsOf(sample),
  traceKept,
});

const turnsOf = ({ turns, turnsContinue, ...first }: Sample): Pick<SampleRequest, 'turns' | 'turnsContinue'> => {
  if (turns === undefined || turns.length === 0) return {};
  const answerTo = [first, ...turns];
  return {
    turnsContinue: turnsContinue !== undefined,
    turns: turns.map(({ question, answerPrefix, evidence, maxNewTokens, stop }, i) => ({
      ...{ question, answerPrefix, evidence, maxNewTokens, stop },
      ...(turnsContinue === 'gold' ? { answered: goldAnswer(answerTo[i]!) } : {}),
    })),
  };
};

/** The first reference, as it goes on after its prefix. */
export const goldAnswer = ({ answerPrefix, references }: Pick<Sample, 'answerPrefix' | 'references'>): string =>
  `${answerPrefix === '' || /\s$/.test(answerPrefix) ? '' : ' '}${references[0] ?? ''}`;

export const timingRequest = (
  suite: ResolvedSuite,
  group: CellGroup,
  sample: Sample,
  setting: SettingRequest,
): TimingRequest => ({
  sampleId: sample.id,
  seed: sampleSeed(suite, group, sample.id),
  prompt: promptOf(suite, sample),
  protocol: group.protocol,
  setting,
  maxNewTokens: TIMED_TOKENS,
  stop: [],
});
