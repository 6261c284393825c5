import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { openDatasets } from '../../datasets/index.js';
import { missingData } from '../../datasets/published-data.js';
import { textPerplexity } from './text-perplexity.js';
import { wordMeter } from './word-meter.js';

const meter = wordMeter(0);
const drawn = (params: object, length: number, samples: number, from?: string) => [
  ...textPerplexity.generate({
    params: textPerplexity.parse(params),
    length,
    samples,
    seed: 1,
    meter,
    ...(from === undefined ? {} : { datasets: openDatasets({ from }) }),
  }),
];

test('context, question and continuation are one running text, as long as the length allows', () => {
  for (const length of [600, 3000]) {
    for (const sample of drawn({ text: 'essay', continuationTokens: 100 }, length, 3)) {
      const { context, question, continuation, chatTemplate, references } = sample;
      assert.equal(chatTemplate, false);
      assert.deepEqual(references, [continuation]);
      assert.match(question, /^ \S/);
      assert.match(continuation!, /^ \S/);
      const prompt = meter.countPrompt(sample);
      assert.ok(prompt <= length - 100 && prompt > length - 110, `${prompt} tokens of ${length - 100}`);
      const measured = meter.count(continuation!);
      assert.ok(measured <= 100 && measured > 90, `${measured} tokens are measured`);
      assert.ok(context.length > 0 && meter.count(question) > 20);
    }
  }
});

test('a length without room for a text is an error', () => {
  assert.throws(() => drawn({ text: 'essay', continuationTokens: 100 }, 150, 1), { code: 'ERR_SUITE' });
});

const book = 'books/H.G._Wells_The_Invisible_Man.md.gz';
test('books are cut at words, and each sample is of the next book', { skip: missingData(book) ?? false }, () => {
  const source = fileURLToPath(new URL('../../../shared/data/books/', import.meta.url));
  const folder = mkdtempSync(path.join(tmpdir(), 'winnow-books-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const names = ['Adam_Smith_The_Wealth_of_Nations.md', 'Alexandre_Dumas_The_Count_of_Monte_Cristo.md'];
  for (const name of names) writeFileSync(path.join(folder, name), gunzipSync(readFileSync(`${source}${name}.gz`)));
  const samples = drawn({}, 2000, 2, folder);
  assert.deepEqual(
    samples.map(({ meta }) => meta.text),
    names,
  );
  for (const [i, { context, question, continuation }] of samples.entries()) {
    const text = readFileSync(path.join(folder, names[i]!), 'utf8').replace(/\s+/g, ' ');
    assert.ok(text.includes((context + question + continuation).replace(/\s+/g, ' ').trim()), 'the book has it so');
  }
});
