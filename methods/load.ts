/** From a name on the command line or in a suite to a method: built in, composed, or a file outside the tree. */
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { WinnowError } from '../core/errors.js';
import type { MethodRef } from '../engine/contract.js';
import { composeMethods } from './compose.js';
import type { Method } from './contract.js';
import { findMethod, methods } from './index.js';

/**
 * `{ id }` is a built-in method, or several joined by +; `{ file }` a module whose default export is a method; `{ parts }` a composition
 * of refs, whose parameters become defaults of the whole. The parameters of the ref itself are not looked at here.
 */
export const resolveMethod = async (ref: MethodRef): Promise<Method> => {
  if (ref.file !== undefined) return loadMethodFile(ref.file);
  if (ref.parts !== undefined && ref.parts.length > 0) {
    const parts = await Promise.all(
      ref.parts.map(async (part) => ({ method: await resolveMethod(part), params: part.params })),
    );
    return composeMethods(parts);
  }
  if (methods.some((method) => method.id === ref.id) || !ref.id.includes('+')) return findMethod(ref.id);
  return composeMethods(ref.id.split('+').map((id) => ({ method: findMethod(id.trim()) })));
};

/** A word of `--method`: a path when it looks like one, else an id. */
export const methodRef = (word: string, params: MethodRef['params'] = {}): MethodRef =>
  /[/\\]|\.[cm]?[jt]s$/.test(word) ? { id: word, file: word, params } : { id: word, params };

/** Loads a module of the user's own and checks its default export, so that a wrong one is one clear error. */
export const loadMethodFile = async (file: string): Promise<Method> => {
  const path = resolve(file);
  await access(path).catch(() => {
    throw new WinnowError('ERR_MISSING', 'method', 'a file', file, 'Give the path from where the command runs.');
  });
  let loaded: Record<string, unknown>;
  try {
    loaded = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (cause) {
    throw new WinnowError(
      'ERR_CONTRACT',
      file,
      'a module that loads',
      cause instanceof Error ? cause.message : String(cause),
    );
  }
  return checkMethod(file, loaded.default);
};

const fields = z.object({
  id: z.string().regex(/^[a-z0-9]+([.+-][a-z0-9]+)*$/, 'expected an id in kebab case'),
  name: z.string().min(1),
  family: z.enum([
    'control',
    'eviction',
    'selection',
    'quantisation',
    'merging',
    'sparse-prefill',
    'context',
    'conversion',
    'output',
    'composition',
  ]),
  source: z.object({ title: z.string().min(1) }),
  deviations: z.array(z.string()),
  training: z.enum(['none', 'calibration', 'released-weights', 'untrained-stand-in']),
  parameters: z.custom(
    (schema) => typeof (schema as { safeParse?: unknown } | undefined)?.safeParse === 'function',
    'expected a zod schema',
  ),
  budgetAxis: z.enum(['residentBytes', 'bytesRead', 'promptTokens', 'density', 'weightBytes', 'none']),
  budgetControl: z.union([z.enum(['exact', 'bounded']), z.object({ search: z.string() })]),
  declare: z.custom((value) => typeof value === 'function', 'expected a function'),
  hooks: z.custom((value) => typeof value === 'function', 'expected a function'),
});

/** The value as a method, or ERR_CONTRACT with the first field that is not as the contract says. */
export const checkMethod = (where: string, value: unknown): Method => {
  const fix = 'Export one: `export default defineMethod({ … })`; docs/add-a-method.md has a whole file.';
  if (typeof value !== 'object' || value === null)
    throw new WinnowError('ERR_CONTRACT', where, 'a method as default export', value, fix);
  const checked = fields.safeParse(value);
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
    throw new WinnowError(
      'ERR_CONTRACT',
      `${where}.${issue.path.join('.')}`,
      issue.message.replace(/^.*expected /, ''),
      describe(got),
      fix,
    );
  }
  const method = value as Method;
  const unknownKey = method.parameters.safeParse({ 'no such parameter': 1 });
  if (unknownKey.success) {
    throw new WinnowError(
      'ERR_CONTRACT',
      `${where}.parameters`,
      'a strict schema (z.strictObject)',
      'one that takes any key',
      fix,
    );
  }
  return method;
};

const describe = (value: unknown): unknown => (typeof value === 'function' ? 'a function' : value);
