/** What prompt hooks may call, and what those calls cost. */
import { WinnowError } from '../../core/errors.js';
import type { Services } from '../../methods/contract.js';
import { createBm25 } from '../../methods/prompt/bm25.js';

/** Services of one setting in one sample. */
export interface MeteredServices {
  readonly services: Services;
  /** Tokens that auxiliary models have read so far, as if this setting ran alone. */
  auxiliaryTokens(): number;
}

/** Opens services with the auxiliary models that a setting declares. Throws: ERR_MISSING when one of them is not there. */
export type OpenServices = (auxiliary: readonly string[]) => Promise<MeteredServices>;

/** Services without any model. */
export const plainServices =
  (countTokens: Services['countTokens']): OpenServices =>
  async () => {
    const later = (what: string) => (): Promise<never> =>
      Promise.reject(
        new WinnowError(
          'ERR_UNSUPPORTED',
          `services.${what}`,
          'countTokens or bm25',
          what,
          'Encoder models come with the methods that need them.',
        ),
      );
    return {
      services: {
        countTokens,
        bm25: (texts) => createBm25(texts),
        embed: later('embed'),
        rerank: later('rerank'),
      },
      auxiliaryTokens: () => 0,
    };
  };
