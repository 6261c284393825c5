/** What is inside a model, for people: `winnow models inspect`. */
import { statSync } from 'node:fs';
import { sha256Hex } from '../core/canonical-json.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import type { ModelConfig } from './config.js';
import type { OnProgress } from './download.js';
import { ggufShardPaths } from './gguf-shards.js';
import { modelManifest, resolveModel } from './models.js';
import { loadTokenizer } from './tokenizer.js';

export interface ModelDescription {
  readonly id: string;
  readonly path: string;
  readonly sha256: string;
  readonly licence?: string;
  readonly format: Checkpoint['format'];
  /** Stored bytes of all tensors that the engine reads. */
  readonly weightBytes: number;
  readonly parameters: number;
  /** Number of tensors by storage type. */
  readonly tensorTypes: Readonly<Record<string, number>>;
  /** Bytes of keys and values per token in bf16. */
  readonly kvBytesPerToken: number;
  readonly config: ModelConfig;
  readonly tokenizer: {
    readonly name: string;
    readonly vocabSize: number;
    readonly stopTokens: readonly string[];
    readonly chatTemplate: boolean;
  };
  readonly fileBytes?: number;
}

/** Reads headers and the tokenizer, no weights. Throws what opening throws. */
export async function inspectModel(ref: string, onProgress?: OnProgress): Promise<ModelDescription> {
  const model = await resolveModel(ref, onProgress);
  const checkpoint = openCheckpoint(model.path);
  try {
    const tokenizer = loadTokenizer(model.path);
    const { config, format } = checkpoint;
    const licence = modelManifest.find(({ file }) => file.sha256 === model.sha256)?.licence;
    const isFile = statSync(model.path, { throwIfNoEntry: false })?.isFile() ?? false;
    return {
      ...model,
      ...(licence !== undefined && { licence }),
      format,
      ...(isFile && {
        fileBytes: ggufShardPaths(model.path).reduce((sum, path) => sum + statSync(path).size, 0),
      }),
      ...countTensors(checkpoint),
      kvBytesPerToken: config.numLayers * config.numKvHeads * config.headDim * 2 * 2,
      config,
      tokenizer: {
        name: tokenizer.name,
        vocabSize: tokenizer.vocabSize,
        stopTokens: tokenizer.stopIds.map((id) => tokenizer.decode([id])),
        chatTemplate: tokenizer.chatTemplate !== undefined,
      },
    };
  } finally {
    checkpoint.close();
  }
}

const countTensors = ({
  tensors,
}: Checkpoint): Pick<ModelDescription, 'weightBytes' | 'parameters' | 'tensorTypes'> => {
  const tensorTypes: Record<string, number> = {};
  let weightBytes = 0;
  let parameters = 0;
  for (const { type, byteLength, shape } of tensors.values()) {
    tensorTypes[type] = (tensorTypes[type] ?? 0) + 1;
    weightBytes += byteLength;
    parameters += shape.reduce((product, size) => product * size, 1);
  }
  return { weightBytes, parameters, tensorTypes };
};

/** Shape and storage of a model for the run record: what a reader needs to count its work, and to see that two files are one model. */
export const recordedFacts = (checkpoint: Checkpoint, chatTemplate: string | undefined) => {
  const { architecture, numLayers, hiddenSize, ffnSize, numQueryHeads, numKvHeads, headDim } = checkpoint.config;
  const { vocabSize, maxPositions, ropeTheta, ropeScaling } = checkpoint.config;
  return {
    format: checkpoint.format,
    architecture,
    ...countTensors(checkpoint),
    ...{ numLayers, hiddenSize, ffnSize, numQueryHeads, numKvHeads, headDim, vocabSize, maxPositions, ropeTheta },
    ropeScaling: JSON.parse(JSON.stringify(ropeScaling)) as never,
    ...(chatTemplate === undefined ? {} : { chatTemplateSha256: sha256Hex(chatTemplate) }),
  };
};
