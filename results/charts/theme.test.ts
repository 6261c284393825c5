/** Charts can be read in print and with any common colour blindness: by simulation, not by the looks of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scheme } from 'vega';
import type { CellSummary } from '../summary.js';
import { budgetColours, styleOf } from './theme.js';

type Colour = readonly [number, number, number];

const linear = (hex: string): Colour =>
  [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as unknown as Colour;
const luminance = ([r, g, b]: Colour): number => 0.2126 * r + 0.7152 * g + 0.0722 * b;
/** Ratio of WCAG 2, from 1 to 21. */
const contrast = (a: Colour, b: Colour): number => {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
};

/** Full dichromacy in linear RGB: matrices of Machado, Oliveira and Fernandes (2009), severity 1. */
const sights: Readonly<Record<string, readonly Colour[]>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};
const seen = (sight: readonly Colour[], colour: Colour): Colour =>
  sight.map((row) =>
    Math.min(
      1,
      Math.max(
        0,
        row.reduce((sum, weight, i) => sum + weight * colour[i]!, 0),
      ),
    ),
  ) as never;

/** CIE 1976 distance in Lab under D65; 2.3 is just noticeable. */
const distance = (a: Colour, b: Colour): number => {
  const lab = ([r, g, b2]: Colour): Colour => {
    const [x, y, z] = [
      (0.4124564 * r + 0.3575761 * g + 0.1804375 * b2) / 0.95047,
      0.2126729 * r + 0.7151522 * g + 0.072175 * b2,
      (0.0193339 * r + 0.119192 * g + 0.9503041 * b2) / 1.08883,
    ].map((value) => (value > 216 / 24389 ? Math.cbrt(value) : (24389 / 27 / 116) * value + 16 / 116)) as [
      number,
      number,
      number,
    ];
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
  };
  const [one, other] = [lab(a), lab(b)];
  return Math.hypot(...one.map((value, i) => value - other[i]!));
};

const cellOf = (series: string, control: boolean): CellSummary =>
  ({ series, facts: { control } }) as unknown as CellSummary;
const stylesOf = (methods: number) => {
  const { domain, colours, shapes } = styleOf([
    ...['dense', 'random', 'oracle', 'oracle-top-k', 'streaming-llm'].map((name) => cellOf(name, true)),
    ...Array.from({ length: methods }, (_, i) => cellOf(`method ${i}`, false)),
  ]);
  return domain.map((name, i) => ({ name, colour: linear(colours[i]!), shape: shapes[i]! }));
};

test('ten methods and all controls differ in shape, so that a black and white print tells them apart', () => {
  const styles = stylesOf(10).filter(({ name }) => name !== 'dense');
  assert.equal(new Set(styles.map(({ shape }) => shape)).size, styles.length);
});

test('up to 19 methods and all controls, two of one shape differ clearly in colour for every sight', () => {
  const styles = stylesOf(19);
  const close: string[] = [];
  for (const [name, sight] of Object.entries(sights))
    for (const [i, one] of styles.entries())
      for (const other of styles.slice(i + 1)) {
        if (one.shape !== other.shape) continue;
        const apart = distance(seen(sight, one.colour), seen(sight, other.colour));
        if (apart < 12) close.push(`${name}: ${one.name}, ${other.name}: ${apart.toFixed(1)}`);
      }
  assert.deepEqual(close, []);
});

test('every colour stands out from white paper, in grey too', () => {
  const white = linear('#ffffff');
  for (const { name, colour } of stylesOf(10)) assert.ok(contrast(colour, white) >= 2.2, name);
  for (const colour of budgetColours) assert.ok(contrast(linear(colour), white) >= 2.2, colour);
});

test('budgets of one method differ for every sight', () => {
  for (const [name, sight] of Object.entries(sights))
    for (const [i, one] of budgetColours.entries())
      for (const other of budgetColours.slice(i + 1)) {
        const apart = distance(seen(sight, linear(one)), seen(sight, linear(other)));
        assert.ok(apart >= 8, `${name}: ${one} and ${other} are ${apart.toFixed(1)} apart`);
      }
});

test('numbers on maps can be read on every field', () => {
  const viridis = scheme('viridis') as unknown as (share: number) => string;
  for (let score = 0; score <= 1; score += 0.01) {
    const field = viridis(score).match(/\d+/g)?.map(Number) ?? [];
    const hex = viridis(score).startsWith('#')
      ? viridis(score)
      : `#${field.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
    const ink = score < 0.44 ? '#ffffff' : '#000000';
    assert.ok(contrast(linear(hex), linear(ink)) >= 4.3, `${score}: ${hex}`);
  }
});
