import { readFileSync } from 'node:fs';
import { contentHash, sha256Hex } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import type { MethodRef } from '../engine/contract.js';
import { auxiliaryNeeds, bindMethod, needsOwnPrefill } from '../engine/core/settings.js';
import { encoderHash } from '../engine/encoder/manifest.js';
import type { ModelFacts, Protocol } from '../methods/contract.js';
import { resolveMethod } from '../methods/load.js';
import type { CellFacts } from '../results/schema.js';
import type { MethodPlanFacts } from './plan.js';

/** What plans and records say about a method beside its name and parameters. */
export interface MethodFacts {
  readonly plan: MethodPlanFacts;
  readonly record: Pick<CellFacts, 'budgetAxis' | 'control' | 'simulated' | 'training'>;
  /** Encoders that it calls. */
  readonly encoders: readonly string[];
}

/**
 * Looks every method of a suite up once, so that a wrong name, parameter, file or encoder ends the command before any model is opened.
 * A method under a protocol that needs a prefill of its own in any of `protocols` counts as needing one.
 */
export const loadMethodFacts = async (
  refs: readonly MethodRef[],
  model: ModelFacts,
  protocols: readonly Protocol[],
): Promise<(ref: MethodRef) => MethodFacts> => {
  const known = new Map<string, MethodFacts>();
  for (const ref of refs) {
    const bound = await bindMethod(ref, resolveMethod);
    const { method } = bound;
    const encoders = auxiliaryNeeds(bound, model, protocols);
    const identity = identityOf([fileIdentity(ref), ...(await Promise.all(encoders.map(encoderHash)))]);
    known.set(contentHash(ref), {
      plan: {
        needsOwnPrefill: protocols.some((protocol) => needsOwnPrefill(bound, model, protocol)),
        hasBudget: method.budgetAxis !== 'none',
        ...(identity === undefined ? {} : { identity }),
      },
      record: {
        budgetAxis: method.budgetAxis,
        control: method.control ?? false,
        simulated: method.simulated ?? false,
        training: method.training,
      },
      encoders,
    });
  }
  return (ref) => {
    const facts = known.get(contentHash(ref));
    if (facts === undefined) throw new WinnowError('ERR_INTERNAL', 'method facts', 'a method of the suite', ref.id);
    return facts;
  };
};

/** What a cell is tied to beside the names: one hash as it is, several as their list. */
const identityOf = (hashes: readonly (string | undefined)[]): string | undefined => {
  const known = hashes.filter((hash) => hash !== undefined);
  return known.length > 1 ? sha256Hex(known.join('\n')) : known[0];
};

/** Cells of a method outside the tree are tied to its file's content, of its parts too. */
const fileIdentity = (ref: MethodRef): string | undefined => {
  const files = filesOf(ref);
  return files.length === 0 ? undefined : sha256Hex(files.map((file) => sha256Hex(readFileSync(file))).join('\n'));
};

const filesOf = ({ file, parts = [] }: MethodRef): string[] => [
  ...(file === undefined ? [] : [file]),
  ...parts.flatMap(filesOf),
];
