import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Ajv } from 'ajv';
import { parse as parseCsv } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { WinnowError } from '../../core/errors.js';
import { rescore } from '../../suites/rescore.js';
import { compareRuns } from '../compare/comparison.js';
import { readRunRecords } from '../run-records.js';
import { type BoardOptions, type BoardShape, smallBoard, writeBoardRun } from './fixtures/board-run.js';
import { judgePairs } from './page/pairs.js';
import { publishSite } from './publish.js';
import { packScores, type SiteData, settingName, unpackScores } from './site-data.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-site-'));
after(() => rmSync(root, { recursive: true, force: true }));

const shape: BoardShape = { ...smallBoard, tasks: 3, methods: 4, samples: 12 };
let made = 0;
const runOf = (options: BoardOptions = {}, of: BoardShape = shape): string => {
  const dir = join(root, `run-${made++}`);
  writeBoardRun(dir, of, options);
  return dir;
};
const publish = async (...dirs: string[]) => {
  const site = join(root, `site-${made++}`);
  return publishSite({ dirs, site, title: 'Board', rescore });
};
const dataOf = (site: string): SiteData => {
  const page = readFileSync(join(site, 'index.html'), 'utf8');
  return JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)![1]!) as SiteData;
};
const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
const refusal = async (body: Promise<unknown>): Promise<string> => {
  try {
    await body;
  } catch (error) {
    assert.ok(error instanceof WinnowError, String(error));
    return error.message;
  }
  assert.fail('nothing was thrown');
};

const plain = runOf();
const whole = await publish(plain);

test('the table without a script has every setting with its score, its marks and a link to a page that is there', () => {
  const page = readFileSync(join(whole.site, 'index.html'), 'utf8');
  const { settings } = dataOf(whole.site);
  assert.equal(settings.length, whole.settings);
  const rows = page.match(/<tr><th scope="row"><a href="[^"]+">/g)!;
  assert.equal(rows.length, settings.length);
  for (const setting of settings) {
    assert.ok(page.includes(`<a href="${setting.page}">`), setting.page);
    const own = readFileSync(join(whole.site, setting.page), 'utf8');
    assert.ok(own.includes(settingName(setting)) && own.includes('npx winnow run synthetic-board'));
  }
  assert.equal(whole.cells, 2 * 3 * 2 * (1 + 2 * 6));
});

test('the same runs give the same bytes', async () => {
  const again = await publish(plain);
  const files = filesOf(whole.site);
  assert.deepEqual(filesOf(again.site), files);
  for (const file of files)
    assert.deepEqual(readFileSync(join(again.site, file)), readFileSync(join(whole.site, file)), file);
});

test('every page names its style and script by hash and allows nothing else', () => {
  for (const file of filesOf(whole.site).filter((name) => name.endsWith('.html'))) {
    const page = readFileSync(join(whole.site, file), 'utf8');
    const policy = /Content-Security-Policy" content="([^"]+)"/.exec(page)![1]!.replaceAll('&#39;', "'");
    assert.match(policy, /^default-src 'none'; /);
    const hashes = [...page.matchAll(/<(?:style|script)>(.*?)<\/(?:style|script)>/gs)].map(
      ([, text]) => `'sha256-${createHash('sha256').update(text!).digest('base64')}'`,
    );
    assert.ok(hashes.length >= 1 && hashes.every((hash) => policy.includes(hash)), file);
    assert.doesNotMatch(page, / style=| on[a-z]+=|src=|unsafe/);
    assert.doesNotMatch(
      page.replaceAll(/<a [^>]*href="https:\/\/[^"]+"/g, ''),
      /href="(?!\.\.\/|settings\/|downloads\/|#)/,
    );
  }
});

test('tables of the downloads agree with each other and with cells.csv of the run', async () => {
  const csv = parseCsv(readFileSync(join(whole.site, 'downloads/cells.csv')), { columns: true }) as Record<
    string,
    string
  >[];
  const file = readFileSync(join(whole.site, 'downloads/cells.parquet'));
  const rows = await parquetReadObjects({
    file: file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer,
  });
  assert.equal(csv.length, whole.cells);
  assert.equal(rows.length, csv.length);
  for (const [i, row] of rows.entries())
    for (const [name, value] of Object.entries(row))
      assert.equal(value === null ? '' : String(value), csv[i]![name], `${name} of row ${i}`);
  const settings = parseCsv(readFileSync(join(whole.site, 'downloads/settings.csv')), { columns: true }) as unknown[];
  assert.equal(settings.length, whole.settings);
});

test('the samples of a setting are one file that unpacks to the lines of all its cells', () => {
  const [setting] = dataOf(whole.site).settings;
  const lines = gunzipSync(readFileSync(join(whole.site, `downloads/samples-${setting!.id}.jsonl.gz`)))
    .toString()
    .trimEnd()
    .split('\n');
  assert.equal(lines.length, setting!.samples);
  assert.ok(lines.every((line) => (JSON.parse(line) as { status: string }).status === 'ok'));
});

test('specs of the downloads hold against the schema of Vega-Lite', () => {
  const ajv = new Ajv({ strict: false, allowUnionTypes: true });
  for (const format of ['color-hex', 'uri', 'uri-reference']) ajv.addFormat(format, true);
  const validate = ajv.compile(
    JSON.parse(readFileSync(fileURLToPath(import.meta.resolve('vega-lite/vega-lite-schema.json')), 'utf8')) as object,
  );
  const specs = filesOf(whole.site).filter((name) => name.endsWith('.vl.json'));
  assert.equal(specs.length, 1);
  for (const name of specs)
    assert.ok(validate(JSON.parse(readFileSync(join(whole.site, name), 'utf8'))), JSON.stringify(validate.errors));
});

test('comparisons in the page are those of winnow compare', () => {
  const data = dataOf(whole.site);
  const chosen = data.settings.filter(
    ({ protocol, budget, method }) => protocol === 'query-aware' && (budget === '0.5' || method === 'dense'),
  );
  const dense = chosen.find(({ method }) => method === 'dense')!;
  const { settings } = compareRuns([readRunRecords(plain)], { margin: 0.01, alpha: 0.05 });
  for (const setting of chosen.filter(({ method }) => method !== 'dense')) {
    const [pair] = judgePairs(data, [setting, dense]);
    const expected = settings.find((row) => row.setting === settingName(setting) && row.protocol === 'query-aware')!;
    assert.deepEqual(
      [pair!.scores!.p, pair!.scores!.worse, pair!.scores!.better, pair!.scores!.pairs],
      [expected.p, expected.worse, expected.better, expected.pairs],
    );
    for (const part of ['mean', 'low', 'high'] as const)
      assert.ok(
        Math.abs(pair!.scores!.difference[part] - expected.difference[part]) < 1e-9,
        `${settingName(setting)} ${part}`,
      );
  }
});

test('settings of other protocols are not compared, and say so', () => {
  const data = dataOf(whole.site);
  const [a, b] = ['query-aware', 'query-agnostic'].map(
    (protocol) => data.settings.find((one) => one.protocol === protocol)!,
  );
  const [pair] = judgePairs(data, [a!, b!]);
  assert.equal(pair!.reason, 'another protocol');
  assert.equal(pair!.scores, undefined);
});

test('packed scores come back for any number of values', () => {
  for (const count of [1, 2, 64, 65, 4_096, 4_097, 100_000]) {
    const values = Array.from({ length: count }, (_, i) => i / count);
    const places = [0, count - 1, Math.floor(count / 2), Math.floor(count / 3)];
    assert.deepEqual(
      unpackScores(packScores(places, count), values),
      places.map((place) => values[place]),
    );
  }
});

test('a second run of the same configuration with the same outcome makes the first re-run and is not listed twice', async () => {
  const again = runOf({ createdAt: '2026-11-27T12:00:00.000Z' });
  const { runs, settings } = await publish(plain, again);
  assert.deepEqual(
    runs.map(({ badge }) => badge),
    ['re-run'],
  );
  assert.equal(settings, whole.settings);
  const other = runOf({
    createdAt: '2026-11-27T12:00:00.000Z',
    alter: (sample, { method }) =>
      method.id === 'dense' && sample.index === 0 ? { ...sample, prediction: 'no', score: 0 } : sample,
  });
  const both = await publish(plain, other);
  assert.deepEqual(
    both.runs.map(({ badge }) => badge),
    ['recomputed', 'recomputed'],
  );
  assert.equal(both.settings, 2 * whole.settings);
  assert.equal(new Set(dataOf(both.site).settings.map(({ page }) => page)).size, both.settings);
});

test('scores of a task that this version does not have stay self-reported', async () => {
  const { runs } = await publish(runOf({ alterCell: (cell) => ({ ...cell, task: 'of-somebody-else' }) }));
  assert.deepEqual(
    runs.map(({ badge }) => badge),
    ['self-reported'],
  );
});

test('a run that verify refuses, the same run twice, no run and a folder of something else are refused with the reason', async () => {
  const forged = runOf();
  const [cell] = readdirSync(join(forged, 'cells'));
  const record = JSON.parse(readFileSync(join(forged, 'cells', cell!), 'utf8')) as { aggregates: { score: number } };
  record.aggregates.score = 1;
  writeFileSync(join(forged, 'cells', cell!), JSON.stringify(record));
  assert.match(await refusal(publish(forged)), /ERR_RECORD.*checksums\.json says/);
  const copy = join(root, 'copy');
  cpSync(plain, copy, { recursive: true });
  assert.match(await refusal(publish(plain, copy)), /ERR_USAGE.*given already/);
  assert.match(await refusal(publish(root.concat('/nothing'))), /ERR_MISSING/);
  const foreign = join(root, 'foreign');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'mine.txt'), 'mine');
  const options = { dirs: [plain], site: foreign, title: 'Board', rescore };
  assert.match(await refusal(publishSite(options)), /ERR_USAGE.*--site/);
  assert.deepEqual(readdirSync(foreign), ['mine.txt']);
});

test('a site made before is replaced as a whole, and a folder of runs stands for its runs', async () => {
  const folder = join(root, 'submissions');
  for (const name of ['a', 'b'])
    cpSync(name === 'a' ? plain : runOf({}, { ...shape, model: 'another-model' }), join(folder, name), {
      recursive: true,
    });
  const site = join(root, 'replaced');
  const options = { site, title: 'Board', rescore };
  await publishSite({ dirs: [plain], ...options });
  writeFileSync(join(site, 'old.html'), '');
  const { runs } = await publishSite({ dirs: [folder], ...options });
  assert.equal(runs.length, 2);
  assert.ok(!existsSync(join(site, 'old.html')));
  assert.equal(dataOf(site).boards.length, 2);
  assert.deepEqual(
    readdirSync(root).filter((name) => name.startsWith('.tmp-')),
    [],
  );
});
