import { WinnowError } from '../../core/errors.js';
import type { AttentionPlan, KeySet } from '../../methods/contract.js';

/**
 * The keys of a plan with one part over all heads and one softmax: what this engine can attend. Everything else that the contract can
 * say is refused by name, so that no field is silently ignored.
 */
export const keysOf = (plan: AttentionPlan, where: string): KeySet => {
  const refuse = (what: string): never => {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      where,
      'one part over all heads with one softmax',
      what,
      'The rest of the contract is not in this engine yet.',
    );
  };
  const [part] = plan.parts;
  if (part === undefined || plan.parts.length !== 1) return refuse(`${plan.parts.length} parts`);
  if (plan.mix !== 'one-softmax') return refuse('gates');
  if (plan.headGain !== undefined) return refuse('headGain');
  if (plan.queryScale !== undefined) return refuse('queryScale');
  if (part.heads !== undefined) return refuse('a part over some heads');
  if (part.positions !== undefined && part.positions !== 'keep') return refuse('other positions');
  if (part.bias !== undefined) return refuse('bias');
  if (part.at === 'tier') return refuse('a part at the tier');
  if (part.visible !== undefined && part.visible !== 'causal') return refuse(`visible ${part.visible}`);
  return part.keys;
};
