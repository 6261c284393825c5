import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { WinnowError } from '../core/errors.js';
import type { DatasetFileEntry } from './contract.js';
import { openRecords } from './records.js';

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-records-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, data: string | Buffer): string => {
  writeFileSync(path.join(folder, name), data);
  return path.join(folder, name);
};
const entry = (name: string, format: DatasetFileEntry['format'], more: Partial<DatasetFileEntry> = {}) =>
  ({ name, format, sources: [{ kind: 'url', url: 'https://example.org/x' }], ...more }) as DatasetFileEntry;
const read = (name: string, data: string | Buffer, format: DatasetFileEntry['format'], more = {}) => {
  const records = openRecords(write(name, data), entry(name, format, more));
  return { records, all: Array.from({ length: records.size }, (_, i) => records.record(i)) };
};
const fails = (what: () => unknown, pattern: RegExp): void => {
  assert.throws(what, (error) => {
    assert.ok(error instanceof WinnowError, String(error));
    assert.equal(error.code, 'ERR_DATASET_FORMAT');
    assert.match(error.message, pattern);
    return true;
  });
};

test('JSON arrays and JSON Lines give back any records, whatever brackets, quotes and line ends are in them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
      fc.constantFrom(undefined, 1, '\t'),
      (values, space) => {
        const wanted = JSON.parse(JSON.stringify(values)) as unknown[];
        if (wanted.length === 0) return;
        assert.deepEqual(read('a.json', JSON.stringify(wanted, undefined, space), 'json').all, wanted);
        const lines = wanted.map((value) => JSON.stringify(value)).join('\n');
        assert.deepEqual(read('a.jsonl', lines, 'jsonl').all, wanted);
        assert.deepEqual(read('a.jsonl', `\n${lines.replaceAll('\n', '\r\n \n')}\n\n`, 'jsonl').all, wanted);
      },
    ),
    { numRuns: 60 },
  );
});

test('records longer than the window that is read at once are whole', () => {
  const long = Array.from({ length: 3 }, (_, i) => ({ i, text: `${'é"\\[,'.repeat(700_000)}${i}` }));
  assert.deepEqual(read('long.json', JSON.stringify(long), 'json').all, long);
  assert.deepEqual(read('long.jsonl', long.map((one) => JSON.stringify(one)).join('\n'), 'jsonl').all, long);
});

test('members of an object, gzip, tables and plain text are read', () => {
  assert.deepEqual(read('m.json', '{"version": 2, "data": [1, {"a": 2}]}', 'json', { member: 'data' }).all, [
    1,
    { a: 2 },
  ]);
  assert.deepEqual(read('z.jsonl.gz', gzipSync('{"a":1}\n{"a":2}\n'), 'jsonl').all, [{ a: 1 }, { a: 2 }]);
  assert.deepEqual(read('t.csv', '\ufefftext,label\n"a, ""b""",x\nc,y\n', 'csv').all, [
    { text: 'a, "b"', label: 'x' },
    { text: 'c', label: 'y' },
  ]);
  assert.deepEqual(read('t.tsv', 'text\tlabel\na "quote\tx\n', 'tsv').all, [{ text: 'a "quote', label: 'x' }]);
  assert.deepEqual(read('b.txt', 'One.\nTwo.\n', 'text').all, [{ text: 'One.\nTwo.\n' }]);
});

test('a record that is no JSON is named by its line, and the others are still read', () => {
  const { records } = {
    records: openRecords(write('bad.jsonl', '{"a":1}\n\n{"a":\n{"a":3}\n'), entry('bad.jsonl', 'jsonl')),
  };
  assert.deepEqual(records.record(0), { a: 1 });
  assert.deepEqual(records.record(2), { a: 3 });
  fails(() => records.record(1), /bad\.jsonl:3: expected JSON/);
});

test('cut, damaged and mislabelled files are one error that names the file', () => {
  fails(() => read('cut.json', '[{"a":1},{"a":', 'json'), /cut\.json:1: expected the end of the array/);
  fails(() => read('cut2.json', '[{"a":1},{"a":2}', 'json'), /the end of the array/);
  fails(() => read('object.json', '{"a":1}', 'json'), /a JSON array of records/);
  fails(() => read('page.json', '<!doctype html><html></html>', 'json'), /a JSON array of records/);
  fails(() => read('page.jsonl', '<!doctype html><html></html>', 'jsonl'), /page\.jsonl:1: expected JSON/);
  fails(() => read('more.json', '[1] [2]', 'json'), /nothing after the array/);
  fails(() => read('comma.json', '[1,,2]', 'json'), /a record/);
  fails(() => read('none.json', '', 'json'), /an empty file/);
  fails(() => read('member.json', '{"data": 3}', 'json', { member: 'data' }), /whose data is an array/);
  fails(() => read('bytes.jsonl', Buffer.from([0x22, 0xff, 0xfe, 0x22]), 'jsonl'), /UTF-8/);
  fails(() => read('ragged.csv', 'a,b\n1\n', 'csv'), /as many fields/);
  const packed = gzipSync('{"a":1}\n'.repeat(100));
  fails(() => read('half.jsonl.gz', packed.subarray(0, packed.length >> 1), 'jsonl'), /gzip/);
  fails(() => read('plain.jsonl.gz', '{"a":1}\n', 'jsonl'), /gzip/);
});

test('any bytes as any format end in records or in one error', () => {
  const formats = ['json', 'jsonl', 'csv', 'tsv', 'text'] as const;
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom(...formats),
      fc.boolean(),
      (bytes, format, isPacked) => {
        try {
          read(isPacked ? 'fuzz.gz' : 'fuzz', Buffer.from(bytes), format);
        } catch (error) {
          assert.ok(error instanceof WinnowError && error.code === 'ERR_DATASET_FORMAT', String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});
