import type { AttentionPlan, KeySet, Layout } from '../../methods/contract.js';

/** Where keys lie and which positions attention uses. */
export type PlanLayout = Pick<Layout, 'keyRope' | 'positions'>;

export const isPlainLayout = ({ keyRope, positions }: PlanLayout): boolean =>
  keyRope === 'post' && positions === 'keep';

/** The keys of a plan of one part over all heads with one softmax and nothing else: what a single fast call can attend. */
export const plainKeys = (plan: AttentionPlan, layout: PlanLayout): KeySet | undefined => {
  const [part] = plan.parts;
  if (part === undefined || plan.parts.length !== 1 || !isPlainLayout(layout)) return undefined;
  if (plan.mix !== 'one-softmax' || plan.headGain !== undefined || plan.queryScale !== undefined) return undefined;
  const isPlain =
    part.heads === undefined &&
    (part.positions ?? 'keep') === 'keep' &&
    part.bias === undefined &&
    (part.visible ?? 'causal') === 'causal';
  return isPlain ? part.keys : undefined;
};
