/** What prompt methods need of a model, without its weights: facts, token counts and encoders. */
import type { ModelFacts, Services } from '../methods/contract.js';
import { loadAddon } from '../native/index.js';
import { openCheckpoint } from './checkpoint.js';
import { modelFacts } from './core/load.js';
import type { MeteredServices } from './core/services.js';
import { createEncoderServices, encoderOpener } from './encoder/services.js';
import type { ModelIdentity } from './local.js';
import { openTextModel } from './text-model.js';

export interface PromptServices {
  readonly facts: ModelFacts;
  /** With the encoders that a method declares. Token counts of texts are kept: methods count the same pieces again for every query. */
  open(auxiliary: readonly string[]): Promise<MeteredServices>;
  close(): Promise<void>;
}

/** Reads a model's header and tokenizer. Throws what opening either throws, and ERR_INTERRUPTED through `cancelled`. */
export const openPromptServices = (
  path: string,
  { id, sha256 }: ModelIdentity,
  cancelled: () => void,
): PromptServices => {
  const addon = loadAddon();
  const checkpoint = openCheckpoint(path);
  const facts = modelFacts(checkpoint, id, sha256, 2);
  checkpoint.close();
  const text = openTextModel(path);
  const counts = new Map<string, number>();
  const countTokens: Services['countTokens'] = (piece) => {
    const known = counts.get(piece);
    if (known !== undefined) return known;
    const count = text.countTokens(piece);
    if (counts.size >= MOST_COUNTS) counts.clear();
    counts.set(piece, count);
    return count;
  };
  const encoders = createEncoderServices(countTokens, encoderOpener(addon, addon.cpuFacts().cores, cancelled));
  return { facts, open: encoders.open, close: encoders.close };
};

const MOST_COUNTS = 200_000;
