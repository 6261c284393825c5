/** Runs a prompt method over queries without a language model: what it ranks first, and what it would feed. */
import { WinnowError } from '../../core/errors.js';
import type { SettingRequest } from '../../engine/contract.js';
import { type BoundMethod, resolveSetting } from '../../engine/core/settings.js';
import type { ModelFacts, PromptIndex, PromptResult, Services, TextSpan } from '../../methods/contract.js';
import type { RetrievalDocument, RetrievalQuery, RetrievalSet } from './contract.js';
import { cutShare, type PieceMeasures, pieceMeasures, sharedLength, unionLength } from './piece-measures.js';
import { type RankingMeasures, rankingMeasures } from './ranking-measures.js';

/** What one query gave. */
export interface QueryRetrieval {
  readonly queryId: string;
  /** Absent where nothing is relevant, such as a question without an answer. */
  readonly ranking?: RankingMeasures;
  /** Share of the fed characters that are relevant, and of the relevant characters that are fed. Precision is absent if nothing is fed. */
  readonly evidencePrecision?: number;
  readonly evidenceRecall?: number;
  /** Share of the relevant spans that no single piece holds whole. */
  readonly evidenceCut?: number;
  readonly fedTokens: number;
  /** Absent for a corpus of more than 64 million characters. */
  readonly pieces?: PieceMeasures;
  readonly indexBytes: number;
  readonly auxiliaryTokens: number;
}

export interface RetrievalRun {
  readonly set: RetrievalSet;
  readonly bound: BoundMethod;
  readonly model: ModelFacts;
  readonly budget: Pick<SettingRequest, 'keptFraction' | 'tokenBudget'>;
  readonly seed: number;
  /** Opened anew for every query; `auxiliaryTokens` counts what it read. */
  openServices(auxiliary: readonly string[]): Promise<{ services: Services; auxiliaryTokens(): number }>;
  readonly signal?: AbortSignal;
}

/**
 * Evaluates one method on every query, one at a time. A corpus that several queries share is indexed once, and its tokens count with the
 * first of them. Pieces are measured once a corpus.
 *
 * Throws ERR_UNSUPPORTED for a method without a prompt hook or without a ranking, and what the method throws.
 */
export async function* evaluateRetrieval(run: RetrievalRun): AsyncGenerator<QueryRetrieval> {
  let corpus: Corpus | undefined;
  for (const query of run.set.queries) {
    run.signal?.throwIfAborted();
    if (corpus?.documents !== query.documents) corpus = corpusOf(query.documents);
    yield await retrieve(run, query, corpus);
  }
}

/** What queries over the same documents share. */
interface Corpus {
  readonly documents: readonly RetrievalDocument[];
  tokens?: number;
  index?: PromptIndex;
  pieces?: PieceMeasures;
}

const corpusOf = (documents: readonly RetrievalDocument[]): Corpus => ({ documents });

/** Pieces are measured on the joined text, which a string must be able to hold. */
const MOST_CHARACTERS = 2 ** 26;

const retrieve = async (run: RetrievalRun, query: RetrievalQuery, corpus: Corpus): Promise<QueryRetrieval> => {
  const { bound, model, budget } = run;
  const { services: count } = await run.openServices([]);
  corpus.tokens ??= corpus.documents.reduce((sum, { text }) => sum + count.countTokens(text), 0);
  const setting = resolveSetting(
    { key: bound.method.id, method: { id: bound.method.id, params: {} }, ...budget },
    bound,
    model,
    'query-aware',
    corpus.tokens,
  );
  const hook = setting.hooks().prompt;
  if (hook === undefined)
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      bound.method.id,
      'a method that chooses from the prompt',
      bound.method.family,
      'See family context in winnow list methods.',
    );
  const auxiliary = setting.declaration.needs.flatMap((need) => ('auxiliary' in need ? [need.auxiliary] : []));
  const { services, auxiliaryTokens } = await run.openServices(auxiliary);
  if (hook.index !== undefined) corpus.index ??= await hook.index(corpus.documents, services);
  const request = {
    documents: corpus.documents,
    question: query.question,
    tokenBudget: setting.setting.budget.tokens,
    seed: run.seed,
  };
  const built = await hook.build(request, corpus.index, services);
  const pieces = rankedPieces(bound.method.id, built);
  if (corpus.pieces === undefined && (pieces.at(-1)?.end ?? 0) <= MOST_CHARACTERS) {
    const text = corpus.documents.map((document) => document.text).join('');
    if (text.length <= MOST_CHARACTERS) corpus.pieces = pieceMeasures(text, pieces, services.countTokens);
  }
  const allowed = query.candidates === undefined ? pieces : pieces.filter(({ start }) => query.candidates!.has(start));
  const ranking = rankingMeasures(
    allowed.map((piece) => gradeOf(piece, query)),
    query.lacking,
  );
  const fed = fedSpans(built);
  const cut = cutShare(query.relevant, pieces);
  return {
    queryId: query.id,
    ...(ranking === undefined ? {} : { ranking }),
    ...evidenceOf(fed, query.relevant),
    ...(cut === undefined ? {} : { evidenceCut: cut }),
    fedTokens: textsOf(built).reduce((sum, text) => sum + services.countTokens(text), 0),
    ...(corpus.pieces === undefined ? {} : { pieces: corpus.pieces }),
    indexBytes: corpus.index?.bytes ?? 0,
    auxiliaryTokens: auxiliaryTokens(),
  };
};

const rankedPieces = (method: string, built: PromptResult): readonly TextSpan[] => {
  if (built.ranking !== undefined) return built.ranking;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    method,
    'a method that ranks pieces of the context',
    'parts without a ranking',
    'See docs/methods.md.',
  );
};

/** The best grade of what a piece holds some of. */
const gradeOf = (piece: TextSpan, { relevant }: RetrievalQuery): number =>
  relevant.reduce(
    (best, { start, end, grade }) => (start < piece.end && piece.start < end ? Math.max(best, grade) : best),
    0,
  );

const fedSpans = (built: PromptResult): TextSpan[] =>
  'parts' in built ? built.parts.flatMap(({ stands }) => stands ?? []).sort((a, b) => a.start - b.start) : [];

const textsOf = (built: PromptResult): string[] =>
  'parts' in built ? built.parts.flatMap((part) => ('text' in part ? part.text : [])) : [];

const evidenceOf = (
  fed: readonly TextSpan[],
  relevant: readonly TextSpan[],
): Pick<QueryRetrieval, 'evidencePrecision' | 'evidenceRecall'> => {
  const shared = sharedLength(fed, relevant);
  const [all, wanted] = [unionLength(fed), unionLength([...relevant].sort((a, b) => a.start - b.start))];
  return {
    ...(all === 0 ? {} : { evidencePrecision: shared / all }),
    ...(wanted === 0 ? {} : { evidenceRecall: shared / wanted }),
  };
};
