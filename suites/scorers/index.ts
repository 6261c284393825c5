import { WinnowError } from '../../core/errors.js';
import { suggestName } from '../../core/nearest-name.js';
import type { GivenMeasure } from '../../engine/contract.js';
import type { Sample, Scorer, ScorerId } from '../contract.js';
import { abstention, answerOrAbstain, exactOrAbstain, firstNamedOrAbstain } from './abstention.js';
import { exactMatch, firstNamed, priorAnswer, squadF1, substringMatch } from './answer-match.js';
import { babilongCountUpstream, babilongScorers } from './babilong.js';
import { continuationScorers } from './continuation.js';
import { evidenceF1, evidenceIdRecall } from './evidence-ids.js';
import { helmetScorers } from './helmet.js';
import { infiniteBenchScorers } from './infinitebench.js';
import { longBenchScorers, longBenchV2 } from './longbench.js';
import { longMemEval, longMemEvalScorers } from './longmemeval.js';
import { documentAnswer, keyValueAnswer } from './lost-in-the-middle.js';
import { multiHopRag, multiHopRagUpstream } from './multihop-rag.js';
import { kitabScorers, setF1 } from './name-lists.js';
import { orderExact, orderKendall } from './order.js';
import { factRecall, firstNumber } from './quantities.js';
import { rankingNdcg10 } from './ranking.js';
import { rougeScorers } from './rouge.js';
import { stringMatchAll, stringMatchPart } from './ruler.js';
import { rightSteps, scoreSteps } from './steps.js';
import { wordsInOrder } from './words-in-order.js';

export interface ScorerEntry {
  readonly score: Scorer;
  /** How upstream prints the mean over samples; `fraction` where there is no upstream. */
  readonly prints: 'percent' | 'percent with 2 decimals' | 'fraction';
  /** Of answers in steps: the score of each, in order. */
  steps?(prediction: string, sample: Pick<Sample, 'references'>): readonly number[];
}

const all = (prefix: string, scorers: Readonly<Record<string, Scorer>>): Record<ScorerId, ScorerEntry> =>
  Object.fromEntries(
    Object.entries(scorers).map(([name, score]) => [`${prefix}/${name}`, { score, prints: 'percent' } as const]),
  );

/** Ids that end in `@upstream` reproduce a rule of the published code that the plain id repairs. */
const SCORERS: Readonly<Record<ScorerId, ScorerEntry>> = {
  'ruler/string_match_all': { score: stringMatchAll, prints: 'percent with 2 decimals' },
  'ruler/string_match_part': { score: stringMatchPart, prints: 'percent with 2 decimals' },
  'squad/em': { score: exactMatch, prints: 'percent' },
  'squad/f1': { score: squadF1, prints: 'percent' },
  ...all('longbench', longBenchScorers),
  'longbench-v2': { score: longBenchV2, prints: 'percent' },
  ...all('infinitebench', infiniteBenchScorers),
  ...all('babilong', babilongScorers),
  'babilong/qa7@upstream': { score: babilongCountUpstream, prints: 'percent' },
  ...all('helmet', helmetScorers),
  longmemeval: { score: longMemEval, prints: 'percent' },
  ...all('longmemeval', longMemEvalScorers),
  ...all('rouge', rougeScorers),
  'ranking/ndcg@10': { score: rankingNdcg10, prints: 'fraction' },
  'multihop-rag': { score: multiHopRag, prints: 'fraction' },
  'multihop-rag@upstream': { score: multiHopRagUpstream, prints: 'fraction' },
  'lost-in-the-middle/qa': { score: documentAnswer, prints: 'fraction' },
  'lost-in-the-middle/kv': { score: keyValueAnswer, prints: 'fraction' },
  abstention: { score: abstention, prints: 'fraction' },
  'answer-or-abstain': { score: answerOrAbstain, prints: 'fraction' },
  'exact-or-abstain': { score: exactOrAbstain, prints: 'fraction' },
  'first-named-or-abstain': { score: firstNamedOrAbstain, prints: 'fraction' },
  'evidence-ids/f1': { score: evidenceF1, prints: 'fraction' },
  'evidence-ids/recall': { score: evidenceIdRecall, prints: 'fraction' },
  'continuation/probability': { score: continuationScorers.probability, prints: 'fraction' },
  'continuation/greedy': { score: continuationScorers.greedy, prints: 'fraction' },
  'prior-answer': { score: priorAnswer, prints: 'fraction' },
  'first-named': { score: firstNamed, prints: 'fraction' },
  'words-in-order': { score: wordsInOrder, prints: 'fraction' },
  'right-steps': {
    score: rightSteps,
    prints: 'fraction',
    steps: (prediction, { references }) => scoreSteps(prediction, references),
  },
  'set-f1': { score: setF1, prints: 'fraction' },
  'order/kendall': { score: orderKendall, prints: 'fraction' },
  'order/exact': { score: orderExact, prints: 'fraction' },
  'first-number': { score: firstNumber, prints: 'fraction' },
  'fact-recall': { score: factRecall, prints: 'fraction' },
  ...all('kitab', kitabScorers),
  'exact-match': { score: exactMatch, prints: 'fraction' },
  'substring-match': { score: substringMatch, prints: 'fraction' },
};

/** The score of one sample: by its task's scorer, or by probability where text was given and the scorer asks for none. */
export const scoreSample = (
  scorer: ScorerId,
  sample: Parameters<Scorer>[1],
  prediction: string,
  given: GivenMeasure | undefined,
): number => {
  const id = given === undefined || scorer.startsWith('continuation/') ? scorer : 'continuation/probability';
  return scorerById(id).score(prediction, sample, given);
};

export const scorerIds = (): readonly ScorerId[] => Object.keys(SCORERS);

/** Throws ERR_USAGE, with the near name, for an id that does not exist. */
export const scorerById = (id: ScorerId): ScorerEntry => {
  const entry = Object.hasOwn(SCORERS, id) ? SCORERS[id] : undefined;
  if (entry === undefined)
    throw new WinnowError('ERR_USAGE', 'scorer', 'a known scorer id', id, suggestName(id, scorerIds()));
  return entry;
};
