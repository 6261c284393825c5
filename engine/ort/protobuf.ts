/** The writing half of Protocol Buffers: enough for one message tree, with nothing to install. */

/** A field of a message: its number and value. `undefined` and empty lists leave nothing in the bytes. */
export type Field = readonly [number: number, value: FieldValue | undefined];
type FieldValue =
  | { readonly int: number | bigint }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly bytes: Uint8Array }
  | { readonly message: Message }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly texts: readonly string[] }
  | { readonly messages: readonly Message[] };
/** Encoded fields of a message. */
export type Message = readonly Uint8Array[];

const wire = { varint: 0, bytes: 2, fixed32: 5 } as const;

/** A message of these fields, in this order. Integers are 64-bit two's complement, as int32, int64 and enums are written. */
export const message = (...fields: readonly Field[]): Message => {
  const parts: Uint8Array[] = [];
  const tagged = (number: number, bytes: Uint8Array): void => {
    parts.push(varint((number << 3) | wire.bytes), varint(bytes.length), bytes);
  };
  const nested = (number: number, inner: Message): void => {
    parts.push(varint((number << 3) | wire.bytes), varint(lengthOf(inner)), ...inner);
  };
  for (const [number, value] of fields) {
    if (value === undefined) continue;
    if ('int' in value) parts.push(varint((number << 3) | wire.varint), varint(value.int));
    else if ('float' in value) {
      parts.push(varint((number << 3) | wire.fixed32), new Uint8Array(Float32Array.of(value.float).buffer));
    } else if ('text' in value) tagged(number, Buffer.from(value.text));
    else if ('bytes' in value) tagged(number, value.bytes);
    else if ('message' in value) nested(number, value.message);
    // Packed, as proto3 writes repeated integers; readers of proto2 accept both forms.
    else if ('ints' in value) {
      if (value.ints.length > 0) nested(number, value.ints.map(varint));
    } else if ('texts' in value) for (const text of value.texts) tagged(number, Buffer.from(text));
    else for (const inner of value.messages) nested(number, inner);
  }
  return parts;
};

export const encode = (root: Message): Uint8Array => Buffer.concat(root);

const lengthOf = (parts: Message): number => parts.reduce((sum, part) => sum + part.length, 0);

const varint = (value: number | bigint): Uint8Array => {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
};
