/** What prompt hooks may call, and what those calls cost. */
import type { Services } from '../../methods/contract.js';

/** Services of one setting in one sample. */
export interface MeteredServices {
  readonly services: Services;
  /** Tokens that auxiliary models have read so far, as if this setting ran alone. */
  auxiliaryTokens(): number;
}

/** Opens services with the auxiliary models that a setting declares. Throws: ERR_MISSING when one of them is not there. */
export type OpenServices = (auxiliary: readonly string[]) => Promise<MeteredServices>;
