/** The Pareto view as a Vega-Lite spec: the one that is drawn for the downloads, and the one that the page gives for what it shows. */
import { type Quantity, quantities, type Setting, settingName } from './site-data.js';

export interface ParetoAxes {
  readonly x: Quantity;
  readonly y: Quantity;
}

export const isBytes = (quantity: Quantity): boolean => ['kvCacheBytes', 'kvBytesRead', 'peakBytes'].includes(quantity);

/** In the unit that is shown: bytes as MiB. */
export const shownValue = (setting: Setting, quantity: Quantity): number | null => {
  const value = setting[quantity];
  return value === null ? null : isBytes(quantity) ? value / 2 ** 20 : value;
};

export const axisTitle = (quantity: Quantity): string => {
  const { label, unit } = quantities.find(({ id }) => id === quantity)!;
  return `${label} (${unit})`;
};

/** Settings that have both quantities. */
export const plotted = (settings: readonly Setting[], { x, y }: ParetoAxes): Setting[] =>
  settings.filter((setting) => setting[x] !== null && setting[y] !== null);

/** Settings that no other one beats on one axis without losing on the other, by x. Of equal points all are on it. */
export const paretoFront = (settings: readonly Setting[], { x, y }: ParetoAxes): Setting[] => {
  const sign = (quantity: Quantity): number =>
    quantities.find(({ id }) => id === quantity)!.better === 'more' ? 1 : -1;
  const [sx, sy] = [sign(x), sign(y)];
  const inOrder = plotted(settings, { x, y }).sort((a, b) => sx * (b[x]! - a[x]!) || sy * (b[y]! - a[y]!));
  const front: Setting[] = [];
  let best = Number.NEGATIVE_INFINITY;
  for (const setting of inOrder) {
    const last = front.at(-1);
    const isEqual = last !== undefined && last[x] === setting[x] && last[y] === setting[y];
    if (sy * setting[y]! <= best && !isEqual) continue;
    front.push(setting);
    best = sy * setting[y]!;
  }
  return front.sort((a, b) => a[x]! - b[x]!);
};

/** A front for each board and protocol: what is not ranked together makes no front together. */
export const paretoFronts = (settings: readonly Setting[], axes: ParetoAxes): Setting[][] => {
  const groups = new Map<string, Setting[]>();
  for (const setting of settings.filter(isComparable)) {
    const key = `${setting.board} ${setting.protocol}`;
    groups.set(key, [...(groups.get(key) ?? []), setting]);
  }
  return [...groups.values()].map((group) => paretoFront(group, axes));
};

/** Plain JSON; the caller adds a theme. */
export const paretoSpec = (title: string, settings: readonly Setting[], axes: ParetoAxes): Record<string, unknown> => {
  const shown = plotted(settings, axes);
  const front = new Set(paretoFronts(shown, axes).flat());
  const values = shown.map((setting) => ({
    setting: settingName(setting),
    family: setting.control ? 'control' : setting.family,
    protocol: setting.protocol,
    marks: [...(setting.simulated ? ['simulated'] : []), ...(setting.standIn ? ['stand-in'] : [])].join(', '),
    x: shownValue(setting, axes.x),
    y: shownValue(setting, axes.y),
    board: setting.board,
    front: front.has(setting),
  }));
  const x = { field: 'x', type: 'quantitative', title: axisTitle(axes.x), scale: { zero: false, nice: true } };
  const y = { field: 'y', type: 'quantitative', title: axisTitle(axes.y), scale: { zero: false, nice: true } };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: title },
    width: 640,
    height: 400,
    data: { values },
    layer: [
      {
        transform: [{ filter: 'datum.front' }],
        mark: { type: 'line', strokeDash: [6, 4], color: '#444444', strokeWidth: 1.5 },
        encoding: {
          x,
          y,
          order: { field: 'x', type: 'quantitative' },
          detail: [
            { field: 'protocol', type: 'nominal' },
            { field: 'board', type: 'nominal' },
          ],
        },
      },
      {
        mark: { type: 'point', filled: true, size: 80 },
        encoding: {
          x,
          y,
          color: { field: 'family', type: 'nominal', title: null },
          shape: { field: 'family', type: 'nominal', title: null },
          opacity: { condition: { test: 'datum.front', value: 1 }, value: 0.55 },
          tooltip: ['setting', 'protocol', 'marks', 'x', 'y'].map((field) => ({
            field,
            type: field === 'x' || field === 'y' ? 'quantitative' : 'nominal',
          })),
        },
      },
    ],
  };
};

/** Controls see what no method may see, simulated ones save nothing, stand-ins are not the method: none of them makes a front. */
export const isComparable = ({ control, simulated, standIn, method }: Setting): boolean =>
  method === 'dense' || !(control || simulated || standIn);
