import { z } from 'zod';
import { suggestName } from '../core/nearest-name.js';

/** The first thing wrong with data, in the words of an error: where, what was expected, what is there, how to fix it. */
export interface SchemaProblem {
  /** Keys and indexes from the root of the data. For an unknown key the last step is that key. */
  readonly path: readonly (string | number)[];
  readonly expected: string;
  readonly actual: unknown;
  readonly fix?: string;
  /** The key itself is wrong, not its value. */
  readonly isKey: boolean;
}

/** Checks data with a schema; answers its value, or the first problem (unknown keys before wrong values). */
export const checkData = <T>(
  schema: z.ZodType<T>,
  data: unknown,
): { readonly value: T } | { readonly problem: SchemaProblem } => {
  const parsed = schema.safeParse(data);
  if (parsed.success) return { value: parsed.data };
  const issues = parsed.error.issues.map((issue) => innermost(issue));
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
  return { problem: describe(issue, schema, data) };
};

/** A path as people write it: `tasks[1].params.keys`. */
export const formatPath = (path: readonly (string | number)[]): string =>
  path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');

type Issue = z.core.$ZodIssue;

/** Of a union, the issue of the alternative that the data was meant to be: the one it follows furthest. */
const innermost = (issue: Issue): Issue => {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const candidates = issue.errors.flatMap((issues) => {
    const first = issues[0];
    return first === undefined ? [] : [innermost({ ...first, path: [...issue.path, ...first.path] } as Issue)];
  });
  const isWrongKind = (one: Issue): boolean => one.code === 'invalid_type' && one.path.length === issue.path.length;
  const meant = candidates.filter((one) => !isWrongKind(one));
  if (meant.length > 0) return meant.reduce((a, b) => (b.path.length > a.path.length ? b : a));
  const kinds = candidates.flatMap((one) => (one.code === 'invalid_type' ? [nameOfType(one.expected)] : []));
  return { code: 'custom', path: issue.path, message: [...new Set(kinds)].join(' or '), input: issue.input } as Issue;
};

const describe = (issue: Issue, schema: z.ZodType, data: unknown): SchemaProblem => {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const actual = path.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[step] : undefined,
    data,
  );
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const known = knownKeys(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), path);
    return { path: [...path, key], expected: 'a known key', actual: key, fix: suggestName(key, known), isKey: true };
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const fix = typeof actual === 'string' && values.length > 1 ? suggestName(actual, values) : undefined;
    return { path, expected: oneOf(values), actual, ...(fix === undefined ? {} : { fix }), isKey: false };
  }
  return { path, expected: expectation(issue), actual, isKey: false };
};

const expectation = (issue: Issue): string => {
  switch (issue.code) {
    case 'invalid_type':
      return nameOfType(issue.expected);
    case 'too_small':
      return `${sizeOf(issue.origin)} ${issue.inclusive === false ? 'above' : 'of at least'} ${issue.minimum}`;
    case 'too_big':
      return `${sizeOf(issue.origin)} ${issue.inclusive === false ? 'below' : 'of at most'} ${issue.maximum}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    default:
      return issue.message;
  }
};

const oneOf = (values: readonly string[]): string => (values.length === 1 ? values[0]! : `one of ${values.join(', ')}`);

const sizeOf = (origin: string): string =>
  origin === 'array' ? 'a list with a length' : origin === 'string' ? 'text with a length' : 'a number';

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'fields (key: value)',
  record: 'fields (key: value)',
};
const nameOfType = (type: string): string => TYPE_NAMES[type] ?? type;

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The keys that a strict schema allows at a path, alternatives of a union taken together. */
const knownKeys = (schema: JsonSchema, path: readonly (string | number)[]): string[] => {
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (alternatives.length > 0) return alternatives.flatMap((one) => knownKeys(one as JsonSchema, path));
  const [step, ...rest] = path;
  if (step === undefined) return Object.keys(schema.properties ?? {});
  const next = typeof step === 'number' ? schema.items : (schema.properties?.[step] ?? schema.additionalProperties);
  return typeof next === 'object' && !Array.isArray(next) ? knownKeys(next as JsonSchema, rest) : [];
};
