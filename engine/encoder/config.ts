/** What an encoder's files say about its shape and its task: `config.json` of BERT-like models. */
import { basename } from 'node:path';
import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';

/** vectors: texts to vectors; pairs: a score for two texts read together (cross-encoder); tokens: classes of each token. */
export type EncoderTask = 'vectors' | 'pairs' | 'tokens';
export type EncoderFamily = 'bert' | 'roberta' | 'distilbert';

export interface EncoderConfig {
  readonly family: EncoderFamily;
  readonly task: EncoderTask;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly ffnSize: number;
  /** Tokens that one text may have, special tokens included. */
  readonly maxTokens: number;
  /** Position of the first token: RoBERTa counts from behind its padding id. */
  readonly firstPosition: number;
  /** Kinds of text that are told apart; 0: none. */
  readonly tokenTypes: number;
  readonly normEpsilon: number;
  readonly activation: 'gelu' | 'gelu-tanh' | 'relu';
  readonly padId: number;
  /** Names of the classes, in order; empty for vectors. */
  readonly labels: readonly string[];
}

const families: Readonly<Record<string, EncoderFamily>> = {
  bert: 'bert',
  roberta: 'roberta',
  'xlm-roberta': 'roberta',
  camembert: 'roberta',
  distilbert: 'distilbert',
};
const activations: Readonly<Record<string, EncoderConfig['activation']>> = {
  gelu: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
  relu: 'relu',
};

const size = (most: number) => z.int().min(1).max(most);
const shared = {
  architectures: z.array(z.string()).nullish(),
  vocab_size: size(1 << 21),
  max_position_embeddings: size(1 << 20),
  pad_token_id: z
    .int()
    .min(0)
    .max(1 << 21)
    .nullish(),
  position_embedding_type: z.string().nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
};
const bertSchema = z.looseObject({
  ...shared,
  hidden_size: size(1 << 14),
  num_hidden_layers: size(1_000),
  num_attention_heads: size(1_024),
  intermediate_size: size(1 << 17),
  hidden_act: z.string().default('gelu'),
  layer_norm_eps: z.number().positive().max(1).default(1e-12),
  type_vocab_size: z.int().min(0).max(1_024).default(2),
});
const distilSchema = z.looseObject({
  ...shared,
  dim: size(1 << 14),
  n_layers: size(1_000),
  n_heads: size(1_024),
  hidden_dim: size(1 << 17),
  activation: z.string().default('gelu'),
});

/** Throws: ERR_UNSUPPORTED for another kind of model, ERR_MODEL_FORMAT. */
export const readEncoderConfig = (where: string, json: unknown): EncoderConfig => {
  const type = (json as { model_type?: unknown } | null)?.model_type;
  const family = typeof type === 'string' && Object.hasOwn(families, type) ? families[type] : undefined;
  if (family === undefined) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      `${where}, model_type`,
      `one of ${Object.keys(families).join(', ')}`,
      type,
      'Choose a BERT-like encoder, or export it to ONNX: a folder with model.onnx is run as it is.',
    );
  }
  const config = family === 'distilbert' ? fromDistilBert(where, json) : fromBert(where, json, family);
  if (config.hiddenSize % config.numHeads !== 0) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      `${where}, hidden size`,
      `a multiple of the ${config.numHeads} heads`,
      config.hiddenSize,
    );
  }
  return config;
};

/** The task by the name of the class that the model was saved from. */
export const taskOf = (where: string, architectures: readonly string[] | null | undefined): EncoderTask => {
  const [name = 'Model'] = architectures ?? [];
  if (name.endsWith('ForSequenceClassification')) return 'pairs';
  if (name.endsWith('ForTokenClassification')) return 'tokens';
  // Models trained by masked words are read for their hidden states.
  if (name.endsWith('Model') || name.endsWith('ForMaskedLM')) return 'vectors';
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${where}, architectures`,
    'a model of vectors, pairs (ForSequenceClassification) or tokens (ForTokenClassification)',
    name,
  );
};

const labelsOf = (task: EncoderTask, labels: Readonly<Record<string, string>> | null | undefined): string[] =>
  task === 'vectors'
    ? []
    : Object.entries(labels ?? { 0: 'LABEL_0', 1: 'LABEL_1' })
        .sort(([a], [b]) => Number(a) - Number(b))
        .map(([, label]) => label);

const fromBert = (where: string, json: unknown, family: EncoderFamily): EncoderConfig => {
  const config = parse(where, bertSchema, json);
  const padId = config.pad_token_id ?? (family === 'roberta' ? 1 : 0);
  const firstPosition = family === 'roberta' ? padId + 1 : 0;
  const task = taskOf(where, config.architectures);
  return {
    family,
    task,
    vocabSize: config.vocab_size,
    hiddenSize: config.hidden_size,
    numLayers: config.num_hidden_layers,
    numHeads: config.num_attention_heads,
    ffnSize: config.intermediate_size,
    maxTokens: config.max_position_embeddings - firstPosition,
    firstPosition,
    tokenTypes: config.type_vocab_size,
    normEpsilon: config.layer_norm_eps,
    activation: activationOf(where, config.hidden_act),
    padId,
    labels: labelsOf(task, config.id2label),
  };
};

const fromDistilBert = (where: string, json: unknown): EncoderConfig => {
  const config = parse(where, distilSchema, json);
  const task = taskOf(where, config.architectures);
  return {
    family: 'distilbert',
    task,
    vocabSize: config.vocab_size,
    hiddenSize: config.dim,
    numLayers: config.n_layers,
    numHeads: config.n_heads,
    ffnSize: config.hidden_dim,
    maxTokens: config.max_position_embeddings,
    firstPosition: 0,
    tokenTypes: 0,
    // Not in its configuration: a constant of the architecture.
    normEpsilon: 1e-12,
    activation: activationOf(where, config.activation),
    padId: config.pad_token_id ?? 0,
    labels: labelsOf(task, config.id2label),
  };
};

const activationOf = (where: string, name: string): EncoderConfig['activation'] => {
  const known = Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (known !== undefined) return known;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${where}, activation`,
    `one of ${Object.keys(activations).join(', ')}`,
    name,
  );
};

const parse = <T extends z.ZodType<{ position_embedding_type?: string | null | undefined }>>(
  where: string,
  schema: T,
  json: unknown,
): z.output<T> => {
  const result = schema.safeParse(json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new WinnowError('ERR_MODEL_FORMAT', `${where}, ${issue!.path.join('.')}`, 'an encoder', issue!.message);
  }
  const positions = result.data.position_embedding_type ?? 'absolute';
  if (positions !== 'absolute')
    throw new WinnowError('ERR_UNSUPPORTED', `${basename(where)}, position_embedding_type`, 'absolute', positions);
  return result.data;
};
