import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openBoundedFile } from './checkpoint-file.js';
import { readSafetensors, shardNames } from './safetensors.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-safetensors-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A file with this header text and so many bytes of data; the header length can be a lie. */
function read(header: string, dataBytes: number, headerLength = BigInt(Buffer.byteLength(header))) {
  const path = join(root, 'x.safetensors');
  writeFileSync(
    path,
    Buffer.concat([
      new Uint8Array(BigUint64Array.of(headerLength).buffer),
      Buffer.from(header),
      Buffer.alloc(dataBytes),
    ]),
  );
  const file = openBoundedFile(path);
  try {
    return readSafetensors(file);
  } finally {
    file.close();
  }
}
const entry = (dtype: string, shape: readonly number[], from: number, to: number): object => ({
  dtype,
  shape,
  data_offsets: [from, to],
});
const header = (entries: object): string => JSON.stringify(entries);

suite('readSafetensors', () => {
  test('tensors are found after the header; metadata and integer tensors are no weights', () => {
    const text = header({
      __metadata__: { format: 'pt' },
      w: entry('BF16', [2, 3], 0, 12),
      n: entry('F32', [2], 12, 20),
      mask: entry('I64', [1], 20, 28),
    });
    const tensors = read(text, 28);
    assert.deepEqual([...tensors.keys()], ['w', 'n']);
    const base = 8 + text.length;
    assert.deepEqual(tensors.get('n'), { name: 'n', type: 'F32', shape: [2], byteOffset: base + 12, byteLength: 8 });
  });

  const one = entry('F32', [4], 0, 16);
  const damaged: [string, () => unknown, RegExp][] = [
    [
      'a header of 2^62 bytes',
      () => read(header({ w: one }), 16, 2n ** 62n),
      /header length at byte 0: expected 2 to \d+ bytes/,
    ],
    ['a header longer than the file', () => read(header({ w: one }), 16, 4_000n), /header length at byte 0/],
    ['an empty header', () => read('', 0), /header length/],
    ['a header that is no JSON', () => read('{"w":', 16), /header at byte 8: expected JSON/],
    ['a header that is a list', () => read('[1,2]', 16), /expected a JSON object/],
    [
      'an unknown dtype',
      () => read(header({ w: entry('F12', [4], 0, 16) }), 16),
      /"w\\?".*a dtype of the format, got "F12"/,
    ],
    ['a negative size', () => read(header({ w: entry('F32', [-4], 0, 16) }), 16), /a shape of up to 8 sizes/],
    ['offsets that run backwards', () => read(header({ w: entry('F32', [4], 16, 0) }), 16), /a range inside/],
    [
      'offsets beyond the end',
      () => read(header({ w: entry('F32', [8], 0, 32) }), 16),
      /a range inside the 16 bytes of data/,
    ],
    [
      'offsets that do not fit the shape',
      () => read(header({ w: entry('F32', [3], 0, 16) }), 16),
      /12 bytes for its shape, got 16/,
    ],
    [
      'sizes whose product overflows',
      () => read(header({ w: entry('F32', [2 ** 40, 2 ** 40], 0, 16) }), 16),
      /bytes for its shape/,
    ],
    [
      'tensors that overlap',
      () => read(header({ v: one, w: entry('F32', [2], 8, 16) }), 16),
      /data after v, which ends at/,
    ],
    ['an entry that is null', () => read(header({ w: null }), 16), /a dtype of the format/],
  ];
  for (const [what, action, message] of damaged) {
    test(`${what} is ERR_MODEL_FORMAT with the place and both values`, () => {
      assert.throws(action, { code: 'ERR_MODEL_FORMAT', message });
    });
  }
});

suite('shardNames', () => {
  test('each shard comes once, in order', () => {
    const map = { a: 'model-2.safetensors', b: 'model-1.safetensors', c: 'model-2.safetensors' };
    assert.deepEqual(shardNames('x', JSON.stringify({ weight_map: map })), [
      'model-1.safetensors',
      'model-2.safetensors',
    ]);
  });
  for (const name of ['../a.safetensors', '/a.safetensors', 'a/b.safetensors', '.a.safetensors', 'a.bin', 7]) {
    test(`the name ${JSON.stringify(name)} is refused`, () => {
      assert.throws(() => shardNames('x', JSON.stringify({ weight_map: { a: name } })), { code: 'ERR_MODEL_FORMAT' });
    });
  }
});
