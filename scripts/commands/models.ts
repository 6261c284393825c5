import type { EncoderEntry } from '../../engine/encoder/manifest.js';
import type { ResolvedModel } from '../../engine/models.js';
import type { ModelDescription } from '../../engine/models-inspect.js';
import { defineCommand } from '../command.js';
import { licenceFlag } from '../engine-flags.js';
import { choice, json, required, text } from '../flags.js';
import type { Terminal } from '../terminal.js';

export const models = defineCommand({
  name: 'models',
  summary: 'Fetch a model, describe it, or check it by its hash.',
  positionals: {
    action: required(choice('What to do.', ['pull', 'inspect', 'verify'])),
    model: text(
      'A name of the manifest, a GGUF file, a Hugging Face folder or hf:org/name. Default: the default model.',
      'MODEL',
    ),
  },
  required: 1,
  flags: { ...licenceFlag, json },
  examples: [
    ['$0 models pull', 'fetches the default model into the cache'],
    ['$0 models pull gemma-3-270m --accept-licence gemma', 'fetches a model whose licence has to be accepted'],
    ['$0 models inspect ./model.gguf', 'its shape, storage types and tokenizer'],
    ['$0 models verify smollm2-135m-instruct', 'hashes the cached file anew'],
    ['$0 models pull all-minilm-l6-v2', 'an encoder, for methods that need one'],
  ],
  async run({ action, model, acceptLicence, json: asJson }, terminal) {
    const { defaultModelId, manifestTerms, verifyModel } = await import('../../engine/models.js');
    const { acceptLicences } = await import('../../engine/models-licence.js');
    const { findOrPullModel, pullProgress } = await import('../open-model.js');
    const ref = model ?? defaultModelId;
    if (acceptLicence !== undefined) acceptLicences(acceptLicence, manifestTerms);
    const show = (value: unknown, lines: readonly string[]): void => {
      if (asJson) terminal.printJson(value);
      else terminal.print(lines.join('\n'));
    };
    const { encoderEntry } = await import('../../engine/encoder/manifest.js');
    const encoder = encoderEntry(ref);
    if (encoder !== undefined) {
      const found = await actOnEncoder(action, encoder, terminal);
      show(found, [...linesOf(found), `  licence ${found.licence}`, `  ${found.title}`]);
      return 0;
    }
    switch (action) {
      case 'pull': {
        const found = await findOrPullModel(ref, terminal);
        show(found, linesOf(found));
        return 0;
      }
      case 'verify': {
        const found = await verifyModel(ref);
        const known =
          found.expectedSha256 === undefined
            ? 'No hash is known for it; this is what it has.'
            : 'The hash is the expected one.';
        show(found, [...linesOf(found), known]);
        return 0;
      }
      case 'inspect': {
        const { inspectModel } = await import('../../engine/models-inspect.js');
        const description = await inspectModel(ref, pullProgress(terminal));
        show(description, descriptionLines(description));
        return 0;
      }
    }
  },
});

/** Encoders are folders of known files: there is no more to describe than the manifest says. */
const actOnEncoder = async (
  action: 'pull' | 'inspect' | 'verify',
  entry: EncoderEntry,
  terminal: Terminal,
): Promise<ResolvedModel & Pick<EncoderEntry, 'title' | 'licence' | 'homepage'>> => {
  const [{ findEncoder, pullEncoder }, { pulling }, { WinnowError }] = await Promise.all([
    import('../../engine/encoder/manifest.js'),
    import('../open-model.js'),
    import('../../core/errors.js'),
  ]);
  const { title, licence, homepage } = entry;
  if (action !== 'verify')
    return { ...(await pulling(terminal, (progress) => pullEncoder(entry, progress))), title, licence, homepage };
  const found = await findEncoder(entry, true);
  if (found !== undefined) return { ...found, title, licence, homepage };
  throw new WinnowError(
    'ERR_CHECKSUM',
    `encoder ${entry.id}`,
    'the files of the manifest in the cache',
    'none, or others',
    `Run: winnow models pull ${entry.id}`,
  );
};

const linesOf = ({ id, path, sha256 }: ResolvedModel): string[] => [
  `${id}`,
  `  file    ${path}`,
  `  sha256  ${sha256}`,
];

const descriptionLines = (model: ModelDescription): string[] => {
  const { config, tokenizer } = model;
  const types = Object.entries(model.tensorTypes).map(([type, count]) => `${count} ${type}`);
  return [
    ...linesOf(model),
    ...(model.licence === undefined ? [] : [`  licence ${model.licence}`]),
    `  format  ${model.format}, ${types.join(', ')}`,
    `  size    ${(model.parameters / 1e6).toFixed(1)} M parameters, ${(model.weightBytes / 1e6).toFixed(1)} MB of weights`,
    `  shape   ${config.numLayers} layers, hidden ${config.hiddenSize}, ${config.numQueryHeads} query and ${config.numKvHeads} KV heads of ${config.headDim}`,
    `  cache   ${model.kvBytesPerToken} bytes for each token in bf16`,
    `  tokens  ${tokenizer.name}, ${tokenizer.vocabSize} entries, stops at ${tokenizer.stopTokens.join(' ')}, ${tokenizer.chatTemplate ? 'with' : 'without'} a chat template`,
  ];
};
