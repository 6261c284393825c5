import type { Config, TopLevelSpec } from 'vega-lite';
import { distinct } from '../averages.js';
import { type CellSummary, type RunSummary, settingLabel } from '../summary.js';

/** A chart of one protocol. `name` is its file name without ending. */
export interface Chart {
  readonly name: string;
  readonly title: string;
  readonly spec: TopLevelSpec;
}

/** What a chart cannot show, and why. */
export interface SkippedChart {
  readonly name: string;
  readonly reason: string;
}

export interface SeriesStyle {
  readonly domain: readonly string[];
  readonly colours: readonly string[];
  readonly shapes: readonly string[];
}

/**
 * One colour and shape per series. Colours are Okabe and Ito's set and four more of the same kind, which people with any common colour blindness can tell apart; shapes
 * carry the difference in print. Controls are black and greys.
 */
export const styleOf = (cells: readonly CellSummary[]): SeriesStyle => {
  const controls = distinct(cells.filter(({ facts }) => facts.control).map(({ series }) => series));
  const methods = distinct(cells.filter(({ facts }) => !facts.control).map(({ series }) => series));
  const isControl = new Set(controls);
  const domain = [
    ...controls.filter((name) => name === 'dense'),
    ...controls.filter((name) => name !== 'dense'),
    ...methods,
  ];
  let control = 0;
  let method = 0;
  const styles = domain.map((name) => {
    if (name === 'dense') return { colour: '#000000', shape: 'circle' };
    if (isControl.has(name)) {
      const style = { colour: greys[control % greys.length]!, shape: controlShapes[control % controlShapes.length]! };
      control++;
      return style;
    }
    const style = {
      colour: colours[method % colours.length]!,
      shape: shapes[(method + 3 * Math.floor(method / colours.length)) % shapes.length]!,
    };
    method++;
    return style;
  });
  return { domain, colours: styles.map(({ colour }) => colour), shapes: styles.map(({ shape }) => shape) };
};

const colours = [
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#7A4FBF',
  '#8C6D1F',
  '#882255',
  '#44AA99',
];
/** As many as colours, so that ten methods differ in print too; paths lie in the square from -1 to 1. */
const shapes = [
  'circle',
  'square',
  'triangle-up',
  'diamond',
  'triangle-down',
  'cross',
  'triangle-right',
  'triangle-left',
  'M0,-1L0.95,-0.31L0.59,0.81L-0.59,0.81L-0.95,-0.31Z',
  'M-1,-0.4L1,-0.4L1,0.4L-1,0.4Z',
];
const greys = ['#8A8A8A', '#4D4D4D', '#B0A890', '#6F7F8F'];
/** Star, hourglass, bow tie and upright bar: no method has them. */
const controlShapes = [
  'M0,-1L0.25,-0.33L0.95,-0.31L0.4,0.12L0.59,0.81L0,0.42L-0.59,0.81L-0.4,0.12L-0.95,-0.31L-0.25,-0.33Z',
  'M-1,-1L1,-1L0.3,0L1,1L-1,1L-0.3,0Z',
  'M-1,-1L0,-0.3L1,-1L1,1L0,0.3L-1,1Z',
  'M-0.4,-1L0.4,-1L0.4,1L-0.4,1Z',
];

/** Budgets of one method, light to dark; readable in grey. */
export const budgetColours = ['#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00'] as const;

export const fontFamily = 'DejaVu Sans';

export const config: Config = {
  background: '#ffffff',
  font: fontFamily,
  padding: 14,
  title: {
    fontSize: 17,
    subtitleFontSize: 12,
    subtitleColor: '#444444',
    anchor: 'start',
    offset: 14,
    subtitlePadding: 5,
  },
  axis: {
    labelFontSize: 11,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    gridColor: '#e6e6e6',
    domainColor: '#888888',
    tickColor: '#888888',
    labelColor: '#222222',
    titleColor: '#222222',
  },
  legend: { labelFontSize: 12, titleFontSize: 12, symbolSize: 90, labelLimit: 400, columnPadding: 18, rowPadding: 5 },
  header: { labelFontSize: 12, titleFontSize: 12 },
  view: { stroke: '#cccccc' },
};

const schema = 'https://vega.github.io/schema/vega-lite/v6.json';

/** Adds what every chart has: schema, theme, title with what was run. */
export const framed = (title: string, subtitle: readonly string[], body: object): TopLevelSpec =>
  ({
    $schema: schema,
    config,
    title: { text: title, subtitle: subtitle.flatMap((line) => wrapped(line, subtitleCharacters)) },
    ...body,
  }) as TopLevelSpec;

/** Vega takes a character for 0.8 of the font size: longer lines would widen the picture beyond its panels. */
const subtitleCharacters = 98;

const wrapped = (text: string, limit: number): string[] => {
  const lines: string[] = [];
  for (const word of text.replaceAll(/(\d) (%|threads?\b|samples?\b|v\d)/g, '$1\u00a0$2').split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= limit) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
};

/** Model, suite, protocol and samples a cell: what every chart says below its title. */
export const whatWasRun = ({ run, cells }: RunSummary, protocol: string): string => {
  const counts = cells
    .filter(({ facts, record }) => facts.protocol === protocol && record.status === 'ok')
    .map(({ record }) => record.n);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const n = counts.length === 0 ? '' : `, n = ${least === most ? most : `${least}–${most}`} samples a cell`;
  return `${run.model.id}, ${run.suite.id} v${run.suite.version}, ${protocol}${n}`;
};

/** A panel with a row for each setting; labels stand beside the first of a row of panels only. */
export const settingRows = (
  settings: readonly string[],
  isFirst: boolean,
): { readonly width: number; readonly height: number; readonly y: object } => ({
  width: 300,
  height: settings.length * 17,
  y: {
    field: 'setting',
    type: 'nominal',
    scale: { domain: settings },
    axis: isFirst
      ? { title: null, labelLimit: 360, grid: true }
      : { labels: false, ticks: false, title: null, grid: true },
  },
});

/** Dense first, then controls, then methods, each in the order of the run. */
export const settingsOf = (cells: readonly CellSummary[]): string[] => {
  const rank = ({ facts }: CellSummary): number => (facts.method.id === 'dense' ? 0 : facts.control ? 1 : 2);
  return distinct([...cells].sort((a, b) => rank(a) - rank(b)).map(settingLabel));
};

/** Text on a field of a map with a score from 0 to 1: white where the scheme is dark, black where it is light. */
export const scoreText = {
  text: { field: 'score', type: 'quantitative', format: '.2f' },
  color: { condition: { test: 'datum.score < 0.44', value: '#ffffff' }, value: '#000000' },
};

/** The heading of a panel. */
export const heading = (text: string) => ({ text, fontSize: 13, offset: 6, anchor: 'middle' });

export const mebibytes = (bytes: number): number => bytes / 2 ** 20;

/** `1k` for 1024, `1000` for 1000. */
export const lengthLabel = (tokens: number): string => (tokens % 1024 === 0 ? `${tokens / 1024}k` : String(tokens));

/** Round places on a log axis of bytes: powers of two, with 1.5 times each where there is room for `most` ticks. */
export const octaves = (low: number, high: number, most: number): number[] => {
  const first = Math.floor(Math.log2(low));
  const last = Math.ceil(Math.log2(high));
  const powers = Array.from({ length: last - first + 1 }, (_, i) => 2 ** (first + i));
  const within = (values: readonly number[]): number[] => values.filter((value) => value >= low && value <= high);
  const halves = within(powers.flatMap((power) => [power, 1.5 * power]));
  if (halves.length <= most) return halves;
  const whole = within(powers);
  const step = Math.ceil(whole.length / most);
  return whole.filter((_, i) => i % step === 0);
};

/** A legend below the panels in as many columns as `width` pixels hold; columns are as wide as their own labels. */
export const legendBelow = (labels: readonly string[], width: number): object => {
  const widest = Math.max(1, ...labels.map((label) => label.length)) * 0.55 * 12 + 36;
  return {
    title: null,
    orient: 'bottom',
    direction: 'horizontal',
    columns: Math.max(1, Math.min(labels.length, Math.floor(width / widest))),
    symbolOpacity: 1,
  };
};

export const nameFor = (base: string, protocol: string, protocols: readonly string[]): string =>
  protocols.length > 1 ? `${base}-${protocol}` : base;
