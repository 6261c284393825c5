import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openBoundedFile } from './checkpoint-file.js';
import { type Gguf, readGguf } from './gguf.js';
import { type FileTensor, type FileValue, ggufBytes } from './tiny-model-files.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-gguf-'));
after(() => rmSync(root, { recursive: true, force: true }));

function read(bytes: Uint8Array): Gguf {
  const path = join(root, 'x.gguf');
  writeFileSync(path, bytes);
  const file = openBoundedFile(path);
  try {
    return readGguf(file);
  } finally {
    file.close();
  }
}

const tensor = (name: string, type: FileTensor['type'], shape: readonly number[], length: number): FileTensor => ({
  name,
  type,
  shape,
  bytes: Uint8Array.from({ length }, (_, index) => index % 251),
});
const two = [tensor('a', 'F32', [2, 3], 24), tensor('b', 'Q4_1', [2, 64], 80)];
const metadata: Record<string, FileValue> = {
  'general.architecture': { text: 'llama' },
  names: { texts: ['', 'ä', '漢'] },
  ids: { i32s: [-1, 0, 7] },
  scores: { f32s: [0.5, -2] },
  flag: { bool: true },
  theta: { f32: 1e5 },
};
const whole = ggufBytes(metadata, two);

/** A copy of the sound file with one number overwritten. */
function patched(at: number, value: bigint | number): Buffer {
  const bytes = Buffer.from(whole);
  if (typeof value === 'bigint') bytes.writeBigUInt64LE(value, at);
  else bytes.writeUInt32LE(value, at);
  return bytes;
}
const offsetOf = (text: string): number => Buffer.from(whole).indexOf(text);
/** Where the fields of tensor `b` lie: name, dimensions, sizes (64, 2), type, offset. */
const b = offsetOf('b') + 1;

suite('readGguf', () => {
  test('metadata of every kind and tensors come back as they were written', () => {
    const gguf = read(whole);
    assert.equal(gguf.metadata.get('general.architecture'), 'llama');
    assert.deepEqual(gguf.metadata.get('names'), ['', 'ä', '漢']);
    assert.deepEqual(gguf.metadata.get('ids'), Int32Array.of(-1, 0, 7));
    assert.deepEqual(gguf.metadata.get('scores'), Float32Array.of(0.5, -2));
    assert.equal(gguf.metadata.get('flag'), true);
    assert.equal(gguf.metadata.get('theta'), 1e5);
    const stored = gguf.tensors.get('b')!;
    assert.deepEqual([stored.type, stored.shape, stored.byteLength], ['Q4_1', [2, 64], 80]);
    assert.deepEqual(Uint8Array.from(whole.subarray(stored.byteOffset, stored.byteOffset + 80)), two[1]!.bytes);
    assert.equal(gguf.tensors.get('a')!.byteOffset % 32, 0);
  });

  const damaged: [string, () => Uint8Array, RegExp][] = [
    [
      'another magic',
      () => Buffer.concat([Buffer.from('PK\u0003\u0004'), whole.subarray(4)]),
      /magic at byte 0: expected "GGUF"/,
    ],
    ['a version of the future', () => patched(4, 9), /version at byte 4: expected 2 or 3, got 9/],
    ['2^61 tensors', () => patched(8, 2n ** 61n), /tensor count at byte 8: expected a number below 2\^53/],
    [
      '2^40 tensors',
      () => patched(8, 2n ** 40n),
      /tensor count at byte 8: expected at most \d+ \(the file has \d+ bytes\), got 1099511627776/,
    ],
    ['2^40 metadata pairs', () => patched(16, 2n ** 40n), /metadata count at byte 16/],
    ['a key of 2^40 bytes', () => patched(24, 2n ** 40n), /metadata key at byte 32: expected at most/],
    [
      'an array of 2^40 strings',
      () => patched(offsetOf('names') + 5 + 8, 2n ** 40n),
      /names at byte \d+: expected at most/,
    ],
    [
      'an array of 2^40 numbers',
      () => patched(offsetOf('ids') + 3 + 8, 2n ** 40n),
      /ids at byte \d+: expected at most/,
    ],
    ['an unknown value type', () => patched(offsetOf('flag') + 4, 13), /flag at byte \d+: expected a metadata type/],
    ['no dimensions', () => patched(b, 0), /shape of b at byte \d+: expected 1 to 4 dimensions, got 0/],
    ['a dimension of 2^50', () => patched(b + 4, 2n ** 50n), /shape of b .*expected a tensor that fits/],
    [
      'dimensions whose product overflows',
      () => patched(b + 12, 2n ** 52n),
      /shape of b .*expected a tensor that fits/,
    ],
    ['rows that are no whole blocks', () => patched(b + 4, 63n), /rows of a multiple of 32 values \(Q4_1\), got 63/],
    [
      'rows that are no whole super-blocks',
      () => patched(b + 20, 12),
      /shape of b .*rows of a multiple of 256 values \(Q4_K\), got 64/,
    ],
    ['an offset that is not aligned', () => patched(b + 24, 33n), /offset of b .*multiple of 32/],
    ['data beyond the end', () => patched(b + 24, 64n), /data of b at byte \d+: expected at most/],
    ['data over other data', () => patched(b + 24, 0n), /expected data after a, which ends at \d+, got "an overlap"/],
    ['a type that no file has', () => patched(b + 20, 4_000), /type of b .*GGUF tensor type/],
    ['the same tensor twice', () => ggufBytes(metadata, [two[0]!, two[0]!]), /tensor name .*each name once/],
    [
      'a zero alignment',
      () => ggufBytes({ 'general.alignment': { u32: 0 } }, two),
      /general\.alignment .*power of two/,
    ],
  ];
  for (const [what, bytes, message] of damaged) {
    test(`${what} is ERR_MODEL_FORMAT with the place and both values`, () => {
      assert.throws(() => read(bytes()), { code: 'ERR_MODEL_FORMAT', message });
    });
  }

  test('sound files that we cannot use are ERR_UNSUPPORTED', () => {
    assert.throws(() => read(patched(b + 20, 10)), {
      code: 'ERR_UNSUPPORTED',
      message: /F32, F16, Q4_0, Q4_1, Q5_0, .*Q6_K, IQ4_NL, BF16, got "Q2_K"/,
    });
    assert.throws(() => read(patched(4, 0x0300_0000)), { code: 'ERR_UNSUPPORTED', message: /big-endian/ });
    assert.throws(() => read(patched(4, 1)), { code: 'ERR_UNSUPPORTED', message: /version 1/ });
  });

  test('every file that ends before its last tensor is refused', () => {
    const padding = 96 - 80;
    for (let length = 0; length < whole.length - padding; length += 7)
      assert.throws(() => read(whole.subarray(0, length)), { code: 'ERR_MODEL_FORMAT' });
  });
});
