/** Services of prompt hooks with the encoders that a setting declares, opened on first use and kept while the model is open. */
import { WinnowError } from '../../core/errors.js';
import type { Services } from '../../methods/contract.js';
import { createBm25 } from '../../methods/prompt/bm25.js';
import type { Addon } from '../../native/addon-types.js';
import type { OpenServices } from '../core/services.js';
import type { EncoderTask } from './config.js';
import type { Encoder, Metered } from './encoder.js';

/** Vectors kept of each encoder: settings of a sample differ in budget and embed the same texts. */
const KEPT_VECTORS = 8_192;

export interface EncoderServices {
  readonly open: OpenServices;
  close(): Promise<void>;
}

/** `openNamed` opens an encoder by a name that a method declares as `{ auxiliary }`. */
export const createEncoderServices = (
  countTokens: Services['countTokens'],
  openNamed: (name: string) => Promise<Encoder>,
): EncoderServices => {
  const encoders = new Map<string, Promise<Encoder>>();
  const kept = new Map<Encoder, Map<string, KeptVector>>();
  const encoderOf = (name: string): Promise<Encoder> => {
    let encoder = encoders.get(name);
    if (encoder === undefined) {
      encoder = openNamed(name);
      encoders.set(name, encoder);
      // A model that was missing may be there the next time.
      encoder.catch(() => encoders.delete(name));
    }
    return encoder;
  };
  return {
    async open(auxiliary) {
      const opened = new Map<EncoderTask, Encoder>();
      for (const name of auxiliary) {
        const encoder = await encoderOf(name);
        opened.set(encoder.task, encoder);
      }
      const find = (task: EncoderTask, service: string): Encoder => {
        const encoder = opened.get(task);
        if (encoder !== undefined) return encoder;
        throw new WinnowError(
          'ERR_CONTRACT',
          `services.${service}`,
          `a model of ${task} among the needs of the method`,
          auxiliary.length === 0 ? undefined : auxiliary.join(', '),
          "Declare it: needs: [{ auxiliary: 'name of the encoder' }].",
        );
      };
      let tokens = 0;
      const metered = async <T>(answer: Promise<Metered<T>>): Promise<T> => {
        const { value, tokens: read } = await answer;
        for (const count of read) tokens += count;
        return value;
      };
      const services: Services = {
        countTokens,
        bm25: (texts) => createBm25(texts),
        async embed(texts, kind) {
          const encoder = find('vectors', 'embed');
          if (kind === 'token') return metered(encoder.embed(texts, kind));
          if (kind === 'single') return metered(embedOnce(encoder, kept, texts));
          throw new WinnowError(
            'ERR_UNSUPPORTED',
            'services.embed',
            'single or token vectors',
            kind,
            'Sparse encoders are not served yet.',
          );
        },
        classifyWords: async (text) => metered(find('tokens', 'classifyWords').classifyWords(text)),
        rerank: async (query, texts) => metered(find('pairs', 'rerank').scorePairs(query, texts)),
      };
      return { services, auxiliaryTokens: () => tokens };
    },
    async close() {
      const open = await Promise.allSettled(encoders.values());
      encoders.clear();
      kept.clear();
      for (const one of open) if (one.status === 'fulfilled') await one.value.close();
    },
  };
};

/** Opens encoders by name. What that takes is loaded with the first: most runs need none. */
export const encoderOpener =
  (addon: Addon, threads: number, cancelled: () => void) =>
  async (name: string): Promise<Encoder> => {
    const [{ encoderFolder }, { openEncoder }] = await Promise.all([import('./manifest.js'), import('./encoder.js')]);
    return openEncoder(await encoderFolder(name), addon, threads, cancelled);
  };

interface KeptVector {
  readonly vector: Float32Array;
  readonly tokens: number;
}

/** Exact, since a text's vector does not depend on its company; tokens count for every call, as if it were the only one. */
const embedOnce = async (
  encoder: Encoder,
  kept: Map<Encoder, Map<string, KeptVector>>,
  texts: readonly string[],
): Promise<Metered<Float32Array[]>> => {
  let known = kept.get(encoder);
  if (known === undefined || known.size > KEPT_VECTORS) {
    known = new Map();
    kept.set(encoder, known);
  }
  const fresh = [...new Set(texts)].filter((text) => !known.has(text));
  const { value, tokens } = await encoder.embed(fresh, 'single');
  fresh.forEach((text, i) => {
    known.set(text, { vector: value[i]!, tokens: tokens[i]! });
  });
  const found = texts.map((text) => known.get(text)!);
  return { value: found.map(({ vector }) => vector.slice()), tokens: found.map((one) => one.tokens) };
};
