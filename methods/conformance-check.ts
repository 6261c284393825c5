import type { ConformanceBench } from './conformance-bench.js';
import type { Subject } from './conformance-subject.js';
import type { Declaration, Hooks, Property } from './contract.js';

/** One promise of the contract and how it is tested. */
export interface Check {
  readonly property: Property;
  readonly title: string;
  /** Runs on plain arrays alone. */
  readonly withoutEngine?: true;
  /** Why the check has nothing to test on this method; undefined: it applies. */
  readonly exempt?: (facts: CheckFacts) => string | undefined;
  readonly run: (facts: CheckFacts) => Promise<void> | void;
}

export interface CheckFacts {
  readonly subject: Subject;
  readonly declared: Declaration;
  readonly hooks: Hooks;
  /** GQA 4:1 and MHA, in reference numerics; absent where the engine is not built. */
  readonly benches: readonly ConformanceBench[];
}

export const actsOnText = ({ hooks }: CheckFacts): string | undefined =>
  hooks.prompt === undefined ? undefined : 'acts on the text, before there is a cache';

export const first = (...reasons: readonly (string | undefined)[]): string | undefined =>
  reasons.find((reason) => reason !== undefined);
