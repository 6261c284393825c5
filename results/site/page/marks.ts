/** Shapes and colours of families: the shape alone tells them apart in print and without colour. */
import type { Setting } from '../site-data.js';

export type Shape = (typeof shapes)[number];
const shapes = ['circle', 'square', 'triangle', 'diamond', 'cross', 'down', 'star'] as const;
const COLOURS = 10;

/** By family; controls have the first colour to themselves. */
export const familyStyles = (settings: readonly Setting[]): Map<string, { colour: number; shape: Shape }> => {
  const families = [...new Set(settings.filter(({ control }) => !control).map(({ family }) => family))].sort();
  return new Map([
    ['control', { colour: 0, shape: 'cross' as Shape }],
    ...families.map((family, i) => {
      const inkless = shapes.filter((shape) => shape !== 'cross');
      return [family, { colour: 1 + (i % (COLOURS - 1)), shape: inkless[i % inkless.length]! }] as const;
    }),
  ]);
};

/** A path around the origin. */
export const symbolPath = (shape: Shape, r: number): string => {
  const polygon = (corners: readonly (readonly [number, number])[]): string =>
    `M${corners.map(([x, y]) => `${(x * r).toFixed(2)} ${(y * r).toFixed(2)}`).join('L')}Z`;
  const third = 1 / 3;
  const around = (count: number, radius: (i: number) => number): [number, number][] =>
    Array.from({ length: count }, (_, i) => {
      const angle = (2 * Math.PI * i) / count - Math.PI / 2;
      return [radius(i) * Math.cos(angle), radius(i) * Math.sin(angle)];
    });
  switch (shape) {
    case 'circle':
      return `M${r} 0A${r} ${r} 0 1 1 ${-r} 0A${r} ${r} 0 1 1 ${r} 0Z`;
    case 'square':
      return polygon([
        [-0.85, -0.85],
        [0.85, -0.85],
        [0.85, 0.85],
        [-0.85, 0.85],
      ]);
    case 'triangle':
      return polygon([
        [0, -1.1],
        [1, 0.8],
        [-1, 0.8],
      ]);
    case 'down':
      return polygon([
        [0, 1.1],
        [1, -0.8],
        [-1, -0.8],
      ]);
    case 'diamond':
      return polygon([
        [0, -1.2],
        [1, 0],
        [0, 1.2],
        [-1, 0],
      ]);
    case 'star':
      return polygon(around(10, (i) => (i % 2 === 0 ? 1.25 : 0.5)));
    case 'cross':
      return polygon([
        [-third, -1],
        [third, -1],
        [third, -third],
        [1, -third],
        [1, third],
        [third, third],
        [third, 1],
        [-third, 1],
        [-third, third],
        [-1, third],
        [-1, -third],
        [-third, -third],
      ]);
  }
};
