/**
 * A float32 array in NumPy's .npy format, version 1.0: magic, little-endian header length, a Python dict padded so that the data
 * starts on a multiple of 64 bytes, then the values in C order.
 */
export const encodeNpy = (values: Float32Array, shape: readonly number[]): Uint8Array => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size !== values.length)
    throw new RangeError(`encodeNpy: shape ${shape.join('x')} holds ${size} values, got ${values.length}`);
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${extents}), }`;
  const prefix = 10;
  const header = `${dictionary.padEnd(64 * Math.ceil((prefix + dictionary.length + 1) / 64) - prefix - 1)}\n`;
  const bytes = new Uint8Array(prefix + header.length + values.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  const view = new DataView(bytes.buffer);
  view.setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), prefix);
  const start = prefix + header.length;
  for (let i = 0; i < values.length; i++) view.setFloat32(start + 4 * i, values[i]!, true);
  return bytes;
};
