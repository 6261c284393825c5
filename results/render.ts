import { fileURLToPath } from 'node:url';
import { Resvg } from '@resvg/resvg-js';
import { parse, resetSVGDefIds, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { WinnowError } from '../core/errors.js';
import { fontFamily } from './charts/theme.js';

export interface RenderedChart {
  readonly svg: string;
  readonly png: Uint8Array;
}

/**
 * Draws a Vega-Lite spec without a browser. Text widths are estimated, not measured, and only our own font files are read, so the bytes
 * are the same on every machine.
 *
 * Throws: ERR_INTERNAL — Vega warns or fails: a chart that Vega had to guess about is a bug of ours.
 */
export const renderChart = async (spec: TopLevelSpec): Promise<RenderedChart> => {
  const complaints: string[] = [];
  const logger = collectInto(complaints);
  const view = new View(parse(compile(spec, { logger }).spec), { renderer: 'none', logger });
  try {
    await view.runAsync();
    // Vega numbers clip paths and gradients through the life of the process.
    resetSVGDefIds();
    const svg = await view.toSVG();
    if (complaints.length > 0)
      throw new WinnowError('ERR_INTERNAL', 'renderChart', 'a spec without warnings', complaints.join('; '));
    return { svg, png: rasterise(svg) };
  } finally {
    view.finalize();
  }
};

const rasterise = (svg: string): Uint8Array =>
  new Resvg(svg, {
    background: 'white',
    fitTo: { mode: 'zoom', value: 2 },
    font: { loadSystemFonts: false, fontFiles: fontFiles(), defaultFontFamily: fontFamily },
  })
    .render()
    .asPng();

/** Without fonts the rasteriser draws no text and says nothing, so the files are named, never searched for. */
const fontFiles = (): string[] =>
  ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) =>
    fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${name}`)),
  );

const collectInto = (complaints: string[]) => {
  const keep = function <T>(this: T, ...words: readonly unknown[]): T {
    complaints.push(words.join(' '));
    return this;
  };
  const drop = function <T>(this: T): T {
    return this;
  };
  let level = 0;
  function levelOf(): number;
  function levelOf<T>(this: T, next: number): T;
  function levelOf<T>(this: T, next?: number): T | number {
    if (next === undefined) return level;
    level = next;
    return this;
  }
  return { level: levelOf, warn: keep, error: keep, info: drop, debug: drop };
};
