import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import { createRandom } from '../core/random.js';
import { parquetToLines } from './parquet.js';
import { writeParquetLines } from './parquet-lines.js';

const folder = mkdtempSync(path.join(tmpdir(), 'winnow-parquet-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/records-${name}.parquet`, import.meta.url));

/** What scripts/record-parquet.py wrote. */
const rowOf = (i: number) => ({
  id: i,
  text: i % 7 === 3 ? null : `Zeile ${i}: é, 漢字, "quoted"\n`,
  answers: [`a${i}`, `b${i}`].slice(0, i % 3),
  context: { title: [`T${i % 5}`], sentences: [['One.', 'Two.'], []] },
  score: i / 4,
  yes: i % 2 === 0,
});

for (const [compression, rows] of [
  ['snappy', 1200],
  ['zstd', 1200],
  ['gzip', 1200],
  ['none', 40],
] as const) {
  test(`rows of several groups, nested values and nulls come out as lines: ${compression}`, async () => {
    const target = path.join(folder, `${compression}.jsonl`);
    await parquetToLines(fixture(compression), target);
    const lines = readFileSync(target, 'utf8').trimEnd().split('\n');
    assert.equal(lines.length, rows);
    for (const [i, line] of lines.entries()) assert.deepEqual(JSON.parse(line), rowOf(i));
  });
}

const refused = async (name: string, bytes: Uint8Array): Promise<void> => {
  const source = path.join(folder, name);
  writeFileSync(source, bytes);
  await assert.rejects(parquetToLines(source, path.join(folder, `${name}.jsonl`)), (error) => {
    assert.ok(error instanceof WinnowError && error.code === 'ERR_DATASET_FORMAT', String(error));
    assert.ok(error.message.includes(name) && !error.message.includes('\n'), error.message);
    return true;
  });
  assert.ok(!existsSync(path.join(folder, `${name}.jsonl`)), 'nothing half-made is left');
};

test('cut, mislabelled and foreign files are one error that names the file', async () => {
  const whole = readFileSync(fixture('snappy'));
  await refused('cut-end.parquet', whole.subarray(0, whole.length - 100));
  await refused('cut-start.parquet', whole.subarray(100));
  await refused('four-bytes.parquet', Buffer.from('PAR1'));
  await refused('page.parquet', Buffer.from('<!doctype html><html>Not found</html>'));
  await refused('lines.parquet', Buffer.from('{"text": "one"}\n'.repeat(50)));
  await refused(
    'ends-alike.parquet',
    Buffer.concat([Buffer.from('PAR1'), Buffer.alloc(400, 0xff), Buffer.from('PAR1')]),
  );
});

test('pages that claim two thousand million bytes, values or repeats end in an error: V8 has none for them and ends its process', async () => {
  const whole = readFileSync(fixture('none'));
  // The only page of the last column: 11 bytes of 40 values, whose definition levels are one run of 40.
  const page = whole.indexOf(Buffer.from('1500151615162c1550', 'hex'));
  const run = whole.indexOf(Buffer.from('020000005001', 'hex'), page);
  assert.ok(page > 0 && run > page);
  const huge = Buffer.from('feffffff0f', 'hex');
  /** Four bytes longer than it was; `size` is what the page header then says of the rest of the page. */
  const claims = (at: number, size?: number): Buffer => {
    const bytes = Buffer.concat([whole.subarray(0, at), huge, whole.subarray(at + 1)]);
    if (size !== undefined) bytes[bytes.indexOf(Buffer.from('162c15', 'hex'), page)] = 2 * size;
    return bytes;
  };
  await refused('huge-page.parquet', claims(page + 3, 7));
  await refused('huge-compressed-page.parquet', claims(page + 5));
  await refused('huge-values.parquet', claims(page + 8, 7));
  await refused('huge-run.parquet', claims(run + 4));
});

test('bytes that were changed end in rows or in one error, and never in memory that the file asks for', async () => {
  const whole = readFileSync(fixture('none'));
  const random = createRandom(0, 'damaged parquet');
  for (let round = 0; round < 150; round++) {
    const bytes = Buffer.from(whole);
    for (let i = 0; i < 4; i++) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
    const source = path.join(folder, 'damaged.parquet');
    writeFileSync(source, bytes);
    try {
      await writeParquetLines(source, path.join(folder, 'damaged.jsonl'));
    } catch (error) {
      assert.ok(error instanceof WinnowError && error.code === 'ERR_DATASET_FORMAT', String(error));
    }
  }
});
