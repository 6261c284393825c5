import type { z } from 'zod';
import { WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import type { Method } from './contract.js';

/** Parameters with every default written out. What the method does not know or cannot take is ERR_PARAM with the method and the key. */
export const parseParams = <P extends object>(method: Method<P>, raw: unknown = {}): P => {
  const parsed = method.parameters.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw issue.code === 'unrecognized_keys' ? unknownKey(method, issue) : badValue(method, issue, raw);
};

const unknownKey = (method: Method, { path, keys }: z.core.$ZodIssueUnrecognizedKeys): WinnowError => {
  const key = keys[0]!;
  const known = Object.keys(valueAt(method.parameters.safeParse({}).data, path) ?? {});
  const fix = budgetWords.has(key)
    ? 'A budget belongs to the suite (keptFractions, tokenBudgets) or to --kept-fraction and --token-budget.'
    : known.length === 0
      ? `${method.id} takes no parameters here.`
      : suggestName(key, known);
  return new WinnowError('ERR_PARAM', [method.id, ...path, key].join('.'), 'a parameter of the method', key, fix);
};

const badValue = (method: Method, issue: z.core.$ZodIssue, raw: unknown): WinnowError => {
  const expected = issue.message.replace(/^[A-Z][a-z ]+: expected /, '').replace(/, received .*$/, '');
  return new WinnowError('ERR_PARAM', [method.id, ...issue.path].join('.'), expected, valueAt(raw, issue.path));
};

const budgetWords = new Set(['keptFraction', 'tokenBudget', 'budget']);

const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), value);

const isRecord = (value: unknown): value is Record<PropertyKey, unknown> => typeof value === 'object' && value !== null;
