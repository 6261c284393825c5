/** Writers of GGUF and safetensors, for test models. */
import type { WeightType } from '../native/addon-types.js';
import { ggufTensorTypes } from './gguf-types.js';

export interface FileTensor {
  readonly name: string;
  readonly type: WeightType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A metadata value with the type that it gets in the file. */
export type FileValue =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] };

const alignment = 32;

export function ggufBytes(metadata: Readonly<Record<string, FileValue>>, tensors: readonly FileTensor[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const u32 = (value: number): void => void parts.push(new Uint8Array(Uint32Array.of(value).buffer));
  const u64 = (value: number): void => void parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  parts.push(Buffer.from('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    text(key);
    writeValue(value, { u32, u64, text, bytes: (bytes) => void parts.push(bytes) });
  }
  let offset = 0;
  for (const { name, type, shape, bytes } of tensors) {
    text(name);
    u32(shape.length);
    for (const size of [...shape].reverse()) u64(size);
    u32(typeId(type));
    u64(offset);
    offset += padded(bytes.length);
  }
  const header = Buffer.concat(parts);
  const data = tensors.flatMap(({ bytes }) => [bytes, new Uint8Array(padded(bytes.length) - bytes.length)]);
  return Buffer.concat([header, new Uint8Array(padded(header.length) - header.length), ...data]);
}

interface Sink {
  u32(value: number): void;
  u64(value: number): void;
  text(value: string): void;
  bytes(value: Uint8Array): void;
}

function writeValue(value: FileValue, sink: Sink): void {
  if ('u32' in value) {
    sink.u32(4);
    sink.u32(value.u32);
  } else if ('f32' in value) {
    sink.u32(6);
    sink.bytes(new Uint8Array(Float32Array.of(value.f32).buffer));
  } else if ('bool' in value) {
    sink.u32(7);
    sink.bytes(Uint8Array.of(value.bool ? 1 : 0));
  } else if ('text' in value) {
    sink.u32(8);
    sink.text(value.text);
  } else {
    sink.u32(9);
    if ('texts' in value) {
      sink.u32(8);
      sink.u64(value.texts.length);
      value.texts.forEach(sink.text);
    } else {
      const numbers = 'i32s' in value ? Int32Array.from(value.i32s) : Float32Array.from(value.f32s);
      sink.u32('i32s' in value ? 5 : 6);
      sink.u64(numbers.length);
      sink.bytes(new Uint8Array(numbers.buffer));
    }
  }
}

const padded = (length: number): number => Math.ceil(length / alignment) * alignment;

function typeId(type: WeightType): number {
  for (const [id, shape] of ggufTensorTypes) if (shape.type === type) return id;
  throw new TypeError(`no GGUF id for ${type}`);
}

export function safetensorsBytes(tensors: readonly FileTensor[]): Uint8Array {
  let offset = 0;
  const header: Record<string, object> = { __metadata__: { format: 'pt' } };
  for (const { name, type, shape, bytes } of tensors) {
    header[name] = { dtype: type, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = new Uint8Array(BigUint64Array.of(BigInt(head.length)).buffer);
  return Buffer.concat([length, head, ...tensors.map(({ bytes }) => bytes)]);
}
