/** Suites as data: what a task generates, how it is scored, and what a suite file resolves to. */
import type { z } from 'zod';
import type { OpenDataset } from '../datasets/index.js';
import type { BatchSize, GivenMeasure, MethodRef } from '../engine/contract.js';
import type { Protocol, TextSpan } from '../methods/contract.js';

/** One prompt with its answer. Evidence and document ranges are UTF-16 offsets into `context`. */
export interface Sample {
  readonly id: string;
  readonly context: string;
  readonly documents: readonly TextSpan[];
  /** What the text calls its documents, in their order: how a question can ask for evidence instead of the answer. */
  readonly documentIds?: readonly string[];
  readonly question: string;
  /** Starts the assistant's turn. */
  readonly answerPrefix: string;
  readonly references: readonly string[];
  /** Of classification tasks: every class an answer may name. */
  readonly classes?: readonly string[];
  /** Character ranges of `context` that the answer needs. */
  readonly evidence: readonly TextSpan[];
  readonly maxNewTokens: number;
  readonly stop: readonly string[];
  /** `false`: plain text even where the suite frames prompts by the chat template, for examples or code that lead to the answer. */
  readonly chatTemplate?: boolean;
  /**
   * Given text after the answer prefix whose log-probability is measured; nothing is generated, and the prediction is what greedy
   * decoding would have chosen at each of its tokens. Scored by `continuation/probability` unless its task's scorer is another of
   * `continuation/…`.
   */
  readonly continuation?: string;
  /** Further questions over the same context, asked in order after this one; the compressed cache of the context serves all. */
  readonly turns?: readonly SampleTurn[];
  /**
   * Makes the turns a conversation: each goes on after the one before, whose answer stands in the history as its first reference
   * (`gold`) or as what the setting said (`answer`). Absent: every question stands alone after the context.
   */
  readonly turnsContinue?: 'gold' | 'answer';
  /** Facts for reports: depth, number of keys, hops … */
  readonly meta: Readonly<Record<string, string | number | boolean>>;
}

/** What a further turn has of its own; the rest is as in its sample. */
export type SampleTurn = Pick<
  Sample,
  'question' | 'answerPrefix' | 'references' | 'classes' | 'evidence' | 'maxNewTokens' | 'stop' | 'meta'
>;

/** Exact token counts of the target model, template included. */
export interface TokenMeter {
  readonly tokenizer: string;
  count(text: string): number;
  /** Tokens of the whole prompt as it will be fed (template start + context + question + template turn + answer prefix). */
  countPrompt(sample: Pick<Sample, 'context' | 'question' | 'answerPrefix' | 'chatTemplate'>): number;
}

export interface GenerateOptions<P> {
  readonly params: P;
  /** Longest prompt in tokens, answer room included as RULER counts it. */
  readonly length: number;
  readonly samples: number;
  readonly seed: number;
  readonly meter: TokenMeter;
  /** Room for the answer and most tokens it may have; the task's own unless the suite sets another. */
  readonly maxNewTokens?: number;
  /** Index of the first sample, 0 unless given: sample i is the same wherever a generator starts. */
  readonly first?: number;
  /** Where a task of real data reads it; the files that were pulled unless given. */
  readonly datasets?: OpenDataset;
}

export interface Task<P extends object = object> {
  readonly id: string;
  readonly family: string;
  readonly description: string;
  readonly source: { readonly title: string; readonly arxiv?: string; readonly url?: string; readonly licence: string };
  readonly defaults: P;
  /** Bumped whenever an unchanged method could score differently. */
  readonly version: number;
  readonly scorer: ScorerId;
  /** Datasets of the manifest that it cannot do without, `id` or `id/file`; a run fetches them first. */
  readonly datasets?: readonly string[];
  /** More of them that some parameters need (`haystack: {dataset: books}`), or that are read where they were pulled (`wanted`). */
  datasetsOf?(params: P): { readonly needed?: readonly string[]; readonly wanted?: readonly string[] };
  /** The schema behind `parse`, for positions in suite files and for JSON Schema. */
  readonly parameters?: z.ZodType<P>;
  /** Mean score of guessing; absent: one in the number of a sample's classes, 0 where it has none. */
  readonly chance?: number | ((params: P) => number);
  /** Tokens an answer may have unless the suite sets another number. */
  readonly maxNewTokens?: number;
  /** Strict: unknown keys and out-of-range values are ERR_SUITE with the key's name. */
  parse(params: unknown): P;
  /** Deterministic in (params, length, seed, index); lazily, so memory is flat in the number of samples. */
  generate(options: GenerateOptions<P>): Iterable<Sample>;
}

export type ScorerId = string;
/** 0–1. Pure. */
export type Scorer = (
  prediction: string,
  sample: Pick<Sample, 'references' | 'question' | 'classes' | 'meta'>,
  /** Only of samples with a continuation. */
  given?: GivenMeasure,
) => number;

/** A suite file after defaults are written out; hashed as canonical JSON. */
export interface ResolvedSuite {
  readonly id: string;
  readonly version: number;
  readonly question: string;
  readonly model: string;
  readonly seed: number;
  readonly samples: number;
  readonly lengths: readonly number[];
  readonly tasks: readonly {
    readonly id: string;
    readonly name: string;
    readonly params: Readonly<Record<string, unknown>>;
    /** `evidence`: asks for the documents that the answer needs instead of the answer; absent: the answer. */
    readonly ask?: 'evidence';
    readonly maxNewTokens?: number;
    readonly lengths?: readonly number[];
  }[];
  readonly methods: readonly MethodRef[];
  readonly keptFractions: readonly number[];
  readonly tokenBudgets: readonly number[];
  readonly protocols: readonly Protocol[];
  readonly chatTemplate: boolean;
  /** Which groups the timing pass is for; all when absent. Not part of what a cell is. */
  readonly timed?: {
    readonly tasks?: readonly string[] | undefined;
    readonly protocols?: readonly Protocol[] | undefined;
    /** Measured rounds by length in tokens, as a key. */
    readonly rounds?: Readonly<Record<string, number>> | undefined;
    readonly warmUp?: 'every' | 'first' | undefined;
    /** Decode steps of several rows; of all methods and lengths unless it names some. */
    readonly batch?: {
      readonly sizes: readonly BatchSize[];
      readonly methods?: readonly string[] | undefined;
      readonly lengths?: readonly number[] | undefined;
      readonly memoryBytes?: number | undefined;
    };
  };
  /** Ids of methods claimed to be better before the run; absent when none is. Not part of what a cell is. */
  readonly superiority?: readonly string[];
  readonly exclude: readonly {
    readonly method: string;
    readonly when?: Readonly<Record<string, unknown>>;
    readonly reason: string;
  }[];
}

/** One cell: model x task x length x setting x protocol. */
export interface PlannedCell {
  readonly cellId: string;
  readonly task: string;
  readonly taskName: string;
  readonly contextLength: number;
  readonly method: MethodRef;
  readonly keptFraction?: number;
  readonly tokenBudget?: number;
  readonly protocol: Protocol;
}
