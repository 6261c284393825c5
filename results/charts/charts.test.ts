import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import type { TopLevelSpec } from 'vega-lite';
import { quickstartShape, type SyntheticShape, tinyShape, writeSyntheticRun } from '../fixtures/synthetic-run.js';
import { renderChart } from '../render.js';
import type { ScoredSample } from '../schema.js';
import { type RunSummary, settingLabel, summariseRun } from '../summary.js';
import { buildCharts } from './index.js';
import { spread } from './score-against-bytes.js';
import { octaves, styleOf } from './theme.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-charts-'));
after(() => rmSync(root, { recursive: true, force: true }));
const summaryOf = (name: string, shape: SyntheticShape, timings: boolean) => {
  const dir = join(root, name);
  writeSyntheticRun(dir, shape, { timings });
  return summariseRun(dir);
};
const distinctSettings = ({ cells }: RunSummary): number => new Set(cells.map(settingLabel)).size;
const full = summaryOf('full', { ...quickstartShape, samples: 3 }, true);
const tiny = summaryOf('tiny', tinyShape, false);

test('every spec is valid Vega-Lite', () => {
  const ajv = new Ajv({ strict: false, allowUnionTypes: true });
  for (const format of ['color-hex', 'uri', 'uri-reference']) ajv.addFormat(format, true);
  const schema = JSON.parse(
    readFileSync(fileURLToPath(import.meta.resolve('vega-lite/vega-lite-schema.json')), 'utf8'),
  ) as object;
  const validate = ajv.compile(schema);
  const probed = withSamples(({ index }) => ({
    meta: { depth: 50 * (index % 3), depths: 3, pairs: 4 ** index },
    stepScores: [1, 0, 1],
    kept: [
      [[0, 1], [2]],
      [[5], [6]],
    ],
  }));
  const charts = [full, tiny, probed].flatMap((summary) => buildCharts(summary).charts);
  assert.equal(charts.length, 11 + 5 + 9);
  for (const { name, spec } of charts) {
    assert.ok(validate(spec), `${name}: ${JSON.stringify(validate.errors?.slice(0, 3))}`);
  }
  assert.equal(
    validate({ ...buildCharts(tiny).charts[0]!.spec, colums: 3 }),
    false,
    'the schema would not notice a misspelled property',
  );
});

test('a run that is timed at some lengths only, and one of controls alone, are drawn without warnings', async () => {
  const longest = Math.max(...full.cells.map(({ facts }) => facts.contextLength));
  const partly = {
    ...full,
    cells: full.cells.map((cell) => (cell.facts.contextLength === longest ? { ...cell, times: undefined } : cell)),
  } as RunSummary;
  const controls = { ...full, cells: full.cells.filter(({ facts }) => facts.control) };
  assert.ok(controls.cells.length > 0 && partly.cells.some(({ times }) => times !== undefined));
  for (const summary of [partly, controls]) {
    for (const { spec } of buildCharts(summary).charts) await renderChart(spec);
  }
});

test('rows of panels stand below each other', async () => {
  const lengths = [512, 1024, 2048];
  const summary = summaryOf('lengths', { ...quickstartShape, lengths, samples: 2 }, true);
  for (const name of ['speed-up', 'latency-split']) {
    const chart = buildCharts(summary).charts.find((one) => one.name.startsWith(name))!;
    const { svg } = await renderChart(chart.spec);
    // Every length has its heading; the last row must begin a whole row of panels below the first.
    const height = Number(/viewBox="0 0 \S+ (\S+)"/.exec(svg)![1]);
    const settings = distinctSettings(summary);
    assert.ok(height >= lengths.length * (settings - 1) * 17, `${name}: ${height} for ${settings} settings a length`);
  }
});

test('times of a device are said to be of it, others of the processor, its instructions and threads', () => {
  const { cpu } = full.run.machine;
  const device = { name: 'NVIDIA H100 80GB HBM3' } as RunSummary['run']['device'];
  const said = (run: RunSummary['run']): string[] =>
    buildCharts({ ...full, run })
      .charts.filter(({ name }) => /^(latency-split|speed-up|break-even)/.test(name))
      .map(({ spec }) => ([(spec.title as { subtitle: string[] }).subtitle].flat() as string[]).join(' '));
  assert.equal(said(full.run).length, 3);
  for (const text of said(full.run))
    assert.ok(text.replaceAll('\u00a0', ' ').includes(`${cpu}, ${full.run.isa}, `), text);
  for (const text of said({ ...full.run, device }))
    assert.ok(text.includes('NVIDIA H100 80GB HBM3.') && !text.includes(cpu), text);
});

test('a run with times has every chart of scores, bytes, evidence and times', () => {
  const { charts, skipped } = buildCharts(full);
  assert.deepEqual(
    charts.map(({ name }) => name),
    [
      ...['pareto', 'score-against-bytes', 'score-by-task', 'score-by-length', 'evidence-against-score'],
      ...['resident-against-read', 'kv-bytes-by-length', 'peak-memory-by-length'],
      ...['latency-split', 'speed-up', 'break-even'],
    ],
  );
  assert.deepEqual(skipped, []);
});

test('charts that the records cannot fill are skipped with the reason', () => {
  assert.deepEqual(
    buildCharts(tiny).skipped.map(({ name, reason }) => [name, /timing|one context length/.test(reason)]),
    [
      ['score-by-length', true],
      ['latency-split', true],
    ],
  );
});

/** The same run with other facts in its samples. */
const withSamples = (change: (sample: ScoredSample) => Partial<ScoredSample>): RunSummary => ({
  ...tiny,
  cells: tiny.cells.map((cell) => ({
    ...cell,
    samples: cell.samples.map((sample) => (sample.status === 'ok' ? { ...sample, ...change(sample) } : sample)),
  })),
});
const namesOf = (summary: RunSummary): string[] => buildCharts(summary).charts.map(({ name }) => name);
const rowsOf = (summary: RunSummary, name: string): Record<string, unknown>[] => {
  const { spec } = buildCharts(summary).charts.find((chart) => chart.name === name)!;
  const { concat } = spec as unknown as { concat: { data: { values: Record<string, unknown>[] } }[] };
  return concat.flatMap(({ data }) => data.values);
};

test('a sweep over depths has a map with the mean of every field; drawn depths have none', () => {
  const swept = withSamples(({ index }) => ({
    meta: { depth: [0, 50, 100][index % 3]!, depths: 3 },
    score: index === 3 ? 0 : 1,
  }));
  assert.ok(namesOf(swept).includes('score-by-depth'));
  const rows = rowsOf(swept, 'score-by-depth');
  // Samples 0 and 3 of two tasks have depth 0.
  assert.deepEqual(new Set(rows.map(({ depth, score }) => `${depth} ${score}`)), new Set(['0 0.5', '50 1', '100 1']));
  assert.ok(!namesOf(withSamples(({ index }) => ({ meta: { depth: 10 * index } }))).includes('score-by-depth'));
});

test('scores of steps and of numbers of pairs have a line per setting', async () => {
  const stepped = withSamples(() => ({ meta: { solved: 2 }, stepScores: [1, 1, 0, 0] }));
  assert.ok(namesOf(stepped).includes('score-by-step'));
  const dense = rowsOf(stepped, 'score-by-step').filter(({ setting }) => setting === 'dense');
  assert.deepEqual(
    dense.slice(0, 4).map(({ at, score }) => [at, score]),
    [
      [3, 1],
      [4, 1],
      [5, 0],
      [6, 0],
    ],
  );
  const long = rowsOf(
    withSamples(() => ({ stepScores: Array.from({ length: 100 }, (_, i) => Number(i < 50)) })),
    'score-by-step',
  );
  assert.ok(long.filter(({ setting }) => setting === 'dense').length <= 2 * 16);
  const paired = withSamples(({ index }) => ({ meta: { pairs: 4 ** (index + 1) } }));
  assert.deepEqual([...new Set(rowsOf(paired, 'score-by-pairs').map(({ at }) => at))], [4, 16, 64, 256]);
  for (const summary of [stepped, paired])
    for (const { title, spec } of buildCharts(summary).charts) assert.ok((await renderChart(spec)).svg.includes(title));
});

test('protocols never share a chart', () => {
  const both = summaryOf('both', { ...tinyShape, protocols: ['query-aware', 'query-agnostic'] }, false);
  assert.deepEqual(
    buildCharts(both).charts.map(({ name }) => name),
    [
      ...['pareto', 'score-against-bytes', 'score-by-task', 'evidence-against-score', 'resident-against-read'].map(
        (name) => `${name}-query-agnostic`,
      ),
      ...['pareto', 'score-against-bytes', 'score-by-task', 'evidence-against-score', 'resident-against-read'].map(
        (name) => `${name}-query-aware`,
      ),
    ],
  );
});

test('pictures hold their words and have a white ground', async () => {
  for (const { name, title, spec } of buildCharts(full).charts) {
    const { svg, png } = await renderChart(spec);
    const more = name === 'score-against-bytes' ? ['vt, 1k tokens', 'resident KV cache (MiB, log scale)'] : [];
    for (const word of [title, 'snapkv', ...more]) assert.ok(svg.includes(word), `${name} lacks ${word}`);
    assert.ok(svg.includes('fill="#ffffff"'));
    assert.deepEqual([...png.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10]);
    assert.ok(png.length > 30_000, `${name}: ${png.length} bytes is too little for a picture with text`);
  }
});

test('drawing a chart again gives the same bytes', async () => {
  const { spec } = buildCharts(tiny).charts[0]!;
  const [first, second] = [await renderChart(spec), await renderChart(spec)];
  assert.ok(first.svg === second.svg, 'the SVG differs');
  assert.ok(Buffer.from(first.png).equals(second.png), 'the PNG differs');
});

test('a spec that Vega has to guess about is refused', async () => {
  const spec = {
    ...buildCharts(tiny).charts[0]!.spec,
    layer: undefined,
    concat: undefined,
    mark: 'bar',
    data: { values: [{ a: 1 }] },
    encoding: { x: { field: 'a', type: 'quantitative', scale: { type: 'band' } } },
  } as unknown as TopLevelSpec;
  await assert.rejects(renderChart(spec), { code: 'ERR_INTERNAL' });
});

test('no text measuring package is installed, so layouts are the same on every machine', async () => {
  const name = 'canvas';
  await assert.rejects(import(name), { code: 'ERR_MODULE_NOT_FOUND' });
});

test('every series has a colour and shape of its own up to 20 methods, and dense is black', () => {
  const { domain, colours, shapes } = styleOf(full.cells);
  assert.deepEqual([domain[0], colours[0]], ['dense', '#000000']);
  const many = styleOf([
    ...full.cells,
    ...Array.from({ length: 9 }, (_, i) => ({
      ...full.cells.find(({ facts }) => !facts.control)!,
      series: `method ${i}`,
    })),
  ]);
  assert.equal(new Set(many.domain.map((_, i) => `${many.colours[i]} ${many.shapes[i]}`)).size, many.domain.length);
  assert.equal(new Set(domain.map((_, i) => `${colours[i]} ${shapes[i]}`)).size, domain.length);
});

test('places are spread to the gap, keep their sum within a block and stay put where there is room', () => {
  assert.deepEqual(spread([10, 50, 90], 7), [10, 50, 90]);
  assert.deepEqual(spread([20, 20, 20], 7), [13, 20, 27]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 30 }), (places) => {
      const moved = spread(places, 7);
      const sorted = [...moved].sort((a, b) => a - b);
      for (let i = 1; i < sorted.length; i++) assert.ok(sorted[i]! - sorted[i - 1]! >= 7 - 1e-9);
      const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(total(moved) - total(places)) < 1e-6);
    }),
  );
});

test('ticks of a log axis of bytes are powers of two, with 1.5 times each where there is room', () => {
  assert.deepEqual(octaves(1.4, 8.1, 8), [1.5, 2, 3, 4, 6, 8]);
  assert.deepEqual(octaves(1, 1024, 6), [1, 4, 16, 64, 256, 1024]);
});
