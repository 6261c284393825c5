import { createHash } from 'node:crypto';
import { WinnowError } from './errors.js';

/**
 * JSON with one spelling per value (the rules of RFC 8785): keys sorted by UTF-16 code units, no spaces, numbers in their
 * shortest round-trip form. Members that are `undefined` are left out, as JSON.stringify does.
 *
 * Throws: ERR_INTERNAL — NaN, an infinity, a function or a missing array element, which JSON cannot hold.
 */
export const canonicalJson = (value: unknown, where = 'canonicalJson'): string => {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new WinnowError('ERR_INTERNAL', where, 'a finite number', String(value));
    return Object.is(value, -0) ? '0' : String(value);
  }
  if (Array.isArray(value)) return `[${value.map((item, i) => canonicalJson(item, `${where}[${i}]`)).join(',')}]`;
  if (typeof value === 'object') {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, `${where}.${key}`)}`).join(',')}}`;
  }
  throw new WinnowError('ERR_INTERNAL', where, 'a JSON value', typeof value);
};

export const sha256Hex = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** sha256 of the canonical JSON: equal for equal values however their members were ordered. */
export const contentHash = (value: unknown): string => sha256Hex(canonicalJson(value));

/** The first `limit` places where two JSON values differ, as `path: old -> new`, in key order. */
export const describeDifferences = (before: unknown, after: unknown, limit = 5): string[] => {
  const found: string[] = [];
  const walk = (a: unknown, b: unknown, path: string): void => {
    if (found.length >= limit || spell(a) === spell(b)) return;
    if (isBranch(a) && isBranch(b) && Array.isArray(a) === Array.isArray(b)) {
      const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
      for (const key of Array.isArray(a) ? keys : keys.sort()) {
        walk(a[key], b[key], Array.isArray(a) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`);
      }
      return;
    }
    found.push(`${path === '' ? 'value' : path}: ${shorten(spell(a))} -> ${shorten(spell(b))}`);
  };
  walk(before, after, '');
  return found;
};

const isBranch = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const spell = (value: unknown): string => (value === undefined ? 'nothing' : canonicalJson(value));
const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
