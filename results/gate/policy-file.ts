import { readFileSync } from 'node:fs';
import { WinnowError } from '../../core/errors.js';
import { checkData } from '../../suites/schema-problem.js';
import { readDocument } from '../../suites/suite-file-document.js';
import { type Policy, policySchema } from './policy.js';

/**
 * Reads a gate policy.
 *
 * Throws: ERR_MISSING — no such file. ERR_POLICY — what is wrong in it, with `file:line:column`.
 */
export const readPolicy = (file: string): Policy => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError('ERR_MISSING', file, 'a gate policy', reason, 'winnow init ci writes one.');
  }
  return parsePolicy(text, file);
};

/** The policy of a YAML text; `file` names it in errors. */
export const parsePolicy = (text: string, file: string): Policy => {
  const { data, errorAt } = readDocument(text, file, 'ERR_POLICY');
  const checked = checkData(policySchema, data ?? {});
  if ('problem' in checked) throw errorAt(checked.problem);
  return checked.value;
};
