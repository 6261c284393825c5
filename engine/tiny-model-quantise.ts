/** Plain encoders of the storage types, written for clarity: test models need them, the engine never does. */
import type { WeightType } from '../native/addon-types.js';
import { blockOf } from './gguf-types.js';

/** Bytes of `values` (whole blocks) in `type`. */
export function encodeWeights(values: Float32Array, type: WeightType): Uint8Array {
  const { values: blockValues, bytes: blockBytes } = blockOf(type);
  const bytes = new Uint8Array((values.length / blockValues) * blockBytes);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < values.length / blockValues; block++) {
    encodeBlock(values.subarray(block * blockValues, (block + 1) * blockValues), type, view, block * blockBytes);
  }
  return bytes;
}

/** The f32 values that `bytes` stand for. */
export function decodeWeights(bytes: Uint8Array, type: WeightType): Float32Array {
  const { values: blockValues, bytes: blockBytes } = blockOf(type);
  const values = new Float32Array((bytes.length / blockBytes) * blockValues);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let block = 0; block < bytes.length / blockBytes; block++) {
    decodeBlock(view, block * blockBytes, type, values.subarray(block * blockValues, (block + 1) * blockValues));
  }
  return values;
}

function encodeBlock(values: Float32Array, type: WeightType, view: DataView, at: number): void {
  switch (type) {
    case 'F32':
      view.setFloat32(at, values[0]!, true);
      return;
    case 'F16':
      view.setUint16(at, toHalf(values[0]!), true);
      return;
    case 'BF16':
      view.setUint16(at, toBfloat(values[0]!), true);
      return;
    case 'Q8_0': {
      const scale = Math.max(...values.map(Math.abs)) / 127;
      view.setUint16(at, toHalf(scale), true);
      values.forEach((value, index) => {
        view.setInt8(at + 2 + index, scale === 0 ? 0 : Math.round(value / scale));
      });
      return;
    }
    case 'Q4_0': {
      // The value of largest magnitude becomes -8.
      const extreme = values.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
      const scale = extreme / -8;
      view.setUint16(at, toHalf(scale), true);
      setNibbles(view, at + 2, values, (value) => (scale === 0 ? 8 : value / scale + 8));
      return;
    }
    case 'Q4_1': {
      const minimum = Math.min(...values);
      const scale = (Math.max(...values) - minimum) / 15;
      view.setUint16(at, toHalf(scale), true);
      view.setUint16(at + 2, toHalf(minimum), true);
      setNibbles(view, at + 4, values, (value) => (scale === 0 ? 0 : (value - minimum) / scale));
      return;
    }
  }
}

/** Value i of the first half in the low nibble, value i of the second half in the high nibble. */
function setNibbles(view: DataView, at: number, values: Float32Array, quantise: (value: number) => number): void {
  const clamp = (value: number): number => Math.min(15, Math.max(0, Math.round(quantise(value))));
  for (let index = 0; index < 16; index++)
    view.setUint8(at + index, clamp(values[index]!) | (clamp(values[index + 16]!) << 4));
}

function decodeBlock(view: DataView, at: number, type: WeightType, out: Float32Array): void {
  switch (type) {
    case 'F32':
      out[0] = view.getFloat32(at, true);
      return;
    case 'F16':
      out[0] = fromHalf(view.getUint16(at, true));
      return;
    case 'BF16':
      out[0] = floatOfBits(view.getUint16(at, true) << 16);
      return;
    case 'Q8_0': {
      const scale = fromHalf(view.getUint16(at, true));
      for (let index = 0; index < 32; index++) out[index] = view.getInt8(at + 2 + index) * scale;
      return;
    }
    case 'Q4_0':
    case 'Q4_1': {
      const scale = fromHalf(view.getUint16(at, true));
      const offset = type === 'Q4_0' ? -8 * scale : fromHalf(view.getUint16(at + 2, true));
      const nibbles = at + (type === 'Q4_0' ? 2 : 4);
      for (let index = 0; index < 16; index++) {
        const pair = view.getUint8(nibbles + index);
        out[index] = (pair & 15) * scale + offset;
        out[index + 16] = (pair >> 4) * scale + offset;
      }
    }
  }
}

const scratch = new DataView(new ArrayBuffer(4));
const bitsOf = (value: number): number => {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
};
const floatOfBits = (bits: number): number => {
  scratch.setUint32(0, bits >>> 0);
  return scratch.getFloat32(0);
};

/** Nearest, ties to even. */
export const toBfloat = (value: number): number => {
  const bits = bitsOf(value);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
};

/** Nearest, ties to even; beyond the range: infinity. */
export function toHalf(value: number): number {
  const sign = (bitsOf(value) >>> 31) << 15;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65_520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  const mantissa = roundEven((size / 2 ** exponent - 1) * 1_024);
  return sign | (((exponent + 15) << 10) + mantissa);
}

export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1_023;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1_024) * 2 ** (exponent - 15);
}

const roundEven = (value: number): number => {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
};
