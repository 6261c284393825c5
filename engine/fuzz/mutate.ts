/** Damage to files: bytes, JSON values and texts, so that most of the structure stays and something in it lies. */
import type { Random } from '../../core/random.js';

/** Numbers that break arithmetic: extremes of each width, signs, and sizes just beyond small ones. */
const hostileIntegers = [0, 1, 2, 3, 9, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** One to three changes within the first `headerBytes`: a byte, a hostile number of 4 or 8 bytes, a cut, a repeated stretch. */
export function mutateBytes(bytes: Buffer, random: Random, headerBytes: number): Buffer {
  let out = Buffer.from(bytes);
  for (let change = random.integer(1, 3); change > 0; change--) {
    const at = random.integer(0, Math.min(headerBytes, out.length) - 1);
    switch (random.integer(0, 4)) {
      case 0:
        out[at] = random.integer(0, 255);
        break;
      case 1:
        if (at + 4 <= out.length) out.writeUInt32LE(random.pick(hostileIntegers), at);
        break;
      case 2:
        if (at + 8 <= out.length) out.writeBigUInt64LE(hostile64(random), at);
        break;
      case 3:
        out = out.subarray(0, random.integer(0, out.length));
        if (out.length === 0) return out;
        break;
      default:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at, at + random.integer(1, 64)), out.subarray(at)]);
    }
  }
  return out;
}

/** Where a number of the format stands: 4 or 8 bytes. */
export interface NumberField {
  readonly at: number;
  readonly width: 4 | 8;
}

/** One to three of the format's own numbers replaced: by a hostile one, a near one, or that of another field. */
export function mutateFields(bytes: Buffer, fields: readonly NumberField[], random: Random): Buffer {
  const out = Buffer.from(bytes);
  for (let change = random.integer(1, 3); change > 0; change--) {
    const { at, width } = random.pick(fields);
    const read = (field: NumberField): bigint =>
      field.width === 4 ? BigInt(out.readUInt32LE(field.at)) : out.readBigUInt64LE(field.at);
    const kind = random.integer(0, 3);
    const value =
      kind === 0
        ? hostile64(random)
        : kind === 1
          ? read(random.pick(fields))
          : read({ at, width }) + BigInt(random.pick([-33, -2, -1, 1, 2, 7, 32, 4_096]));
    if (width === 4) out.writeUInt32LE(Number(BigInt.asUintN(32, value)), at);
    else out.writeBigUInt64LE(BigInt.asUintN(64, value), at);
  }
  return out;
}

const hostile64 = (random: Random): bigint => BigInt(random.pick(hostileIntegers)) << BigInt(random.pick([0, 20, 32]));

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const hostileValues = (random: Random): Json =>
  random.pick<() => Json>([
    () => null,
    () => random.pick([true, false]),
    () => random.pick([-1, 0, 1, 0.5, 3, 255, 65_537, 2 ** 31, 2 ** 53, 1e19, 1e308, -1e308]),
    () =>
      random.pick([
        '',
        'x',
        '__proto__',
        'Sequence',
        'Split',
        'ByteLevel',
        '../../etc/passwd',
        '\u0000',
        '\ud800',
        '▁',
      ]),
    () => 'long '.repeat(random.pick([10, 1_000])),
    () => [],
    () => ({}),
    () => nested(random.pick([3, 50, 20_000])),
    () => Array.from({ length: 300 }, (_, index) => index),
  ])();

const nested = (depth: number): Json => {
  let value: Json = [];
  for (let level = 0; level < depth; level++)
    value = level % 2 === 0 ? [value] : { type: 'Sequence', pretokenizers: value };
  return value;
};

/** The JSON text of `value` with one to three of its parts replaced, removed, renamed or copied elsewhere, or cut as text. */
export function mutateJson(value: unknown, random: Random): string {
  const root = structuredClone({ value }) as unknown as { [key: string]: Json };
  for (let change = random.integer(1, 3); change > 0; change--) changePart(root, random);
  const text = stringify(root.value ?? null);
  return random.integer(0, 9) === 0
    ? mutateText(text, random, ['"', '{', '}', '[', ']', ',', ':', '\\u', '1e999', '-'])
    : text;
}

/** Deeper than JSON.stringify's own recursion goes, what is nested is written by hand. */
function stringify(value: Json): string {
  try {
    return JSON.stringify(value);
  } catch {
    return `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  }
}

function changePart(root: { [key: string]: Json }, random: Random): void {
  let parent: Json[] | { [key: string]: Json } = root;
  let key: string | number = 'value';
  for (let depth = 0; depth < 8; depth++) {
    const child: Json | undefined = (parent as { [key: string]: Json })[key];
    if (typeof child !== 'object' || child === null) break;
    const keys = Array.isArray(child) ? child.length : Object.keys(child).length;
    if (keys === 0 || (depth > 0 && random.integer(0, 3) === 0)) break;
    parent = child;
    key = Array.isArray(child) ? random.integer(0, child.length - 1) : random.pick(Object.keys(child));
  }
  const holder = parent as { [key: string]: Json };
  switch (random.integer(0, 5)) {
    case 0:
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete holder[key];
      break;
    case 1:
      if (Array.isArray(parent)) parent.push(holder[key] ?? null);
      else holder[random.pick(['type', 'x', '__proto__', `${key}_`])] = holder[key] ?? null;
      break;
    case 2:
      if (typeof holder[key] === 'number') holder[key] = (holder[key] as number) + random.pick([-1, 1, 32, 1e6]);
      else if (typeof holder[key] === 'string')
        holder[key] = mutateText(holder[key] as string, random, ['(a+)+$', '\\p{L}', '|', '(?i:', '{', '<|x|>']);
      else holder[key] = hostileValues(random);
      break;
    default:
      holder[key] = hostileValues(random);
  }
}

/** One to three edits of a text: a stretch removed, doubled or moved, or a word of the language put in. */
export function mutateText(text: string, random: Random, words: readonly string[]): string {
  let out = text;
  for (let change = random.integer(1, 3); change > 0; change--) {
    const at = random.integer(0, out.length);
    const end = Math.min(out.length, at + random.integer(1, 24));
    switch (random.integer(0, 4)) {
      case 0:
        out = out.slice(0, at) + out.slice(end);
        break;
      case 1:
        out = out.slice(0, end) + out.slice(at);
        break;
      case 2: {
        const to = random.integer(0, out.length);
        out = out.slice(0, to) + out.slice(at, end) + out.slice(to);
        break;
      }
      default:
        out = out.slice(0, at) + random.pick(words) + out.slice(random.integer(0, 1) === 0 ? at : end);
    }
  }
  return out;
}
