/** Settings as points on two chosen axes, with a front for each protocol. Hover, focus and arrow keys tell what a point is. */
import { formatLength } from '../../../core/units.js';
import { boardName } from '../board-names.js';
import { marksOf, rankText, scoreText, timeText } from '../cell-text.js';
import { axisTitle, isBytes, paretoFronts, paretoSpec, plotted, shownValue } from '../pareto-spec.js';
import { type Quantity, quantities, type Setting, type SiteData, settingName } from '../site-data.js';
import { button, element, isolated, offerFile, svgElement } from './dom.js';
import { familyStyles, symbolPath } from './marks.js';
import { oneBoard } from './rows.js';
import { type Scale, scaleOf } from './scale.js';
import { standaloneSvg } from './standalone-svg.js';
import type { State } from './state.js';
import type { Change } from './table.js';

const WIDTH = 960;
const HEIGHT = 520;
const EDGE = { left: 70, right: 24, top: 16, bottom: 52 };

export const createPareto =
  (data: SiteData, change: Change) =>
  (state: State): { nodes: Node[]; count: string } => {
    const axes = { x: state.x, y: state.y };
    const shown = plotted(oneBoard(data, state), axes);
    const controls = element('div', { class: 'bar' }, [axisSelect('x', state, change), axisSelect('y', state, change)]);
    const board = data.boards[shown[0]?.board ?? 0];
    const of = data.boards.length > 1 && board !== undefined ? ` of ${boardName(board)}` : '';
    const count = `${shown.length} settings with both quantities${of}`;
    if (shown.length === 0) return { count, nodes: [controls, element('p', {}, ['No setting has both quantities.'])] };
    const details = element('div', { class: 'details', id: 'details', 'aria-live': 'polite' }, [
      element('p', { class: 'soft' }, [
        'Point at a setting, or move to the picture with Tab and through it with the arrow keys; Enter opens its page.',
      ]),
    ]);
    const svg = drawing(data, shown, axes, (setting) => describe(details, data, setting, axes));
    const title = `${axisTitle(axes.y)} against ${axisTitle(axes.x)}`;
    return {
      count,
      nodes: [
        controls,
        element('div', { class: 'beside' }, [element('div', { class: 'plot' }, [svg, legend(data, shown)]), details]),
        element('div', { class: 'bar' }, [
          button('picture (SVG)', { id: 'save-svg' }, () =>
            offerFile('winnow-pareto.svg', 'image/svg+xml', standaloneSvg(svg)),
          ),
          button('spec (Vega-Lite)', { id: 'save-spec' }, () =>
            offerFile(
              'winnow-pareto.vl.json',
              'application/json',
              JSON.stringify(paretoSpec(title, shown, axes), null, 1),
            ),
          ),
        ]),
      ],
    };
  };

const axisSelect = (axis: 'x' | 'y', state: State, change: Change): HTMLElement => {
  const select = element(
    'select',
    { id: `axis-${axis}` },
    quantities.map(({ id }) => element('option', { value: id }, [axisTitle(id)])),
  );
  select.value = state[axis];
  select.addEventListener('change', () => change({ [axis]: select.value as Quantity }));
  return element('label', {}, [axis === 'x' ? 'across ' : 'up ', select]);
};

const drawing = (
  data: SiteData,
  shown: readonly Setting[],
  axes: { readonly x: Quantity; readonly y: Quantity },
  onPoint: (setting: Setting) => void,
): SVGSVGElement => {
  const x = scaleOf(
    shown.map((setting) => shownValue(setting, axes.x)!),
    EDGE.left,
    WIDTH - EDGE.right,
    isBytes(axes.x),
  );
  const y = scaleOf(
    shown.map((setting) => shownValue(setting, axes.y)!),
    HEIGHT - EDGE.bottom,
    EDGE.top,
    isBytes(axes.y),
  );
  const at = (setting: Setting): [number, number] => [
    x.at(shownValue(setting, axes.x)!),
    y.at(shownValue(setting, axes.y)!),
  ];
  const fronts = paretoFronts(shown, axes);
  const onFront = new Set(fronts.flat());
  const styles = familyStyles(data.settings);
  const points = [...shown].sort((a, b) => at(a)[0] - at(b)[0] || at(b)[1] - at(a)[1]);
  const marks = points.map((setting, i) => {
    const [px, py] = at(setting);
    const { colour, shape } = styles.get(setting.control ? 'control' : setting.family)!;
    const mark = svgElement('path', {
      d: symbolPath(shape, 6),
      transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})`,
      class: `point p${colour}${isHollow(setting) ? ' hollow' : ''}${onFront.has(setting) ? '' : ' dominated'}`,
      tabindex: i === 0 ? 0 : -1,
      role: 'link',
      'aria-label': pointLabel(setting, axes),
      'data-setting': setting.id,
    });
    mark.addEventListener('pointerenter', () => onPoint(setting));
    mark.addEventListener('focus', () => onPoint(setting));
    mark.addEventListener('click', () => location.assign(setting.page));
    return mark;
  });
  const svg = svgElement(
    'svg',
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: 'group',
      'aria-label': `${axisTitle(axes.y)} against ${axisTitle(axes.x)}`,
    },
    [
      ...gridLines(x, y),
      ...fronts
        .filter((front) => front.length > 1)
        .map((front) =>
          svgElement('polyline', {
            class: 'front',
            points: front
              .map((setting) =>
                at(setting)
                  .map((v) => v.toFixed(1))
                  .join(','),
              )
              .join(' '),
          }),
        ),
      ...marks,
      svgElement('text', { x: (EDGE.left + WIDTH - EDGE.right) / 2, y: HEIGHT - 10, 'text-anchor': 'middle' }, [
        axisTitle(axes.x),
      ]),
      svgElement('text', { x: 16, y: HEIGHT / 2, 'text-anchor': 'middle', transform: `rotate(-90 16 ${HEIGHT / 2})` }, [
        axisTitle(axes.y),
      ]),
    ],
  );
  svg.addEventListener('keydown', (event) => moveFocus(event, marks, points));
  return svg;
};

/** Query-aware settings are drawn hollow: they are not to be read beside the others. */
const isHollow = ({ protocol }: Setting): boolean => protocol === 'query-aware';

const moveFocus = (event: KeyboardEvent, marks: readonly SVGElement[], points: readonly Setting[]): void => {
  const at = marks.indexOf(document.activeElement as SVGElement);
  if (at < 0) return;
  const steps: Record<string, number> = {
    ArrowRight: at + 1,
    ArrowDown: at + 1,
    ArrowLeft: at - 1,
    ArrowUp: at - 1,
    Home: 0,
    End: marks.length - 1,
  };
  if (event.key === 'Enter') location.assign(points[at]!.page);
  const next = steps[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const target = marks[(next + marks.length) % marks.length]!;
  for (const mark of marks) mark.setAttribute('tabindex', mark === target ? '0' : '-1');
  target.focus();
};

const gridLines = (x: Scale, y: Scale): SVGElement[] => [
  ...x.ticks.flatMap((value) => [
    svgElement('line', { class: 'grid', x1: x.at(value), x2: x.at(value), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
    svgElement('text', { x: x.at(value), y: HEIGHT - EDGE.bottom + 18, 'text-anchor': 'middle' }, [tickText(value)]),
  ]),
  ...y.ticks.flatMap((value) => [
    svgElement('line', { class: 'grid', x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y.at(value), y2: y.at(value) }),
    svgElement('text', { x: EDGE.left - 8, y: y.at(value) + 4, 'text-anchor': 'end' }, [tickText(value)]),
  ]),
  svgElement('line', {
    class: 'axis',
    x1: EDGE.left,
    x2: WIDTH - EDGE.right,
    y1: HEIGHT - EDGE.bottom,
    y2: HEIGHT - EDGE.bottom,
  }),
  svgElement('line', { class: 'axis', x1: EDGE.left, x2: EDGE.left, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
];

const tickText = (value: number): string => String(Number(value.toPrecision(3)));

const pointLabel = (setting: Setting, { x, y }: { readonly x: Quantity; readonly y: Quantity }): string =>
  [
    `${settingName(setting)}, ${setting.protocol}`,
    ...[y, x].map((quantity) => `${axisTitle(quantity)} ${timeText(shownValue(setting, quantity))}`),
  ].join('; ');

const describe = (
  panel: HTMLElement,
  data: SiteData,
  setting: Setting,
  axes: { readonly x: Quantity; readonly y: Quantity },
): void => {
  const lengths = [...new Set(data.cells.length.filter((_, i) => data.settings[data.cells.setting[i]!] === setting))];
  const rows: [string, string][] = [
    ...[axes.y, axes.x].map((quantity): [string, string] => [
      axisTitle(quantity),
      timeText(shownValue(setting, quantity)),
    ]),
    ['score', scoreText(setting.estimate)],
    ['rank', setting.rank === null ? `not ranked: ${setting.unranked}` : `${rankText(setting)} of ${setting.ranked}`],
    ['suite and model', boardName(data.boards[setting.board]!)],
    ['marks', [...marksOf(setting), setting.badge].join(', ')],
    ['lengths', lengths.map(formatLength).join(', ')],
  ];
  panel.replaceChildren(
    element('p', {}, [element('a', { href: setting.page }, [isolated(settingName(setting))])]),
    element(
      'dl',
      { class: 'facts' },
      rows.flatMap(([name, value]) => [element('dt', {}, [name]), element('dd', {}, [isolated(value)])]),
    ),
  );
};

const legend = (data: SiteData, shown: readonly Setting[]): HTMLElement => {
  const styles = familyStyles(data.settings);
  const families = [...new Set(shown.map((setting) => (setting.control ? 'control' : setting.family)))];
  return element(
    'ul',
    { class: 'legend plot', 'aria-label': 'families' },
    [...styles]
      .filter(([family]) => families.includes(family))
      .map(([family, { colour, shape }]) =>
        element('li', {}, [
          svgElement('svg', { viewBox: '-7 -7 14 14', 'aria-hidden': 'true' }, [
            svgElement('path', { d: symbolPath(shape, 6), class: `p${colour}` }),
          ]),
          ` ${family}`,
        ]),
      )
      .concat(
        shown.some(isHollow)
          ? [
              element('li', {}, [
                svgElement('svg', { viewBox: '-7 -7 14 14', 'aria-hidden': 'true' }, [
                  svgElement('path', { d: symbolPath('circle', 5), class: 'hollow p0' }),
                ]),
                ' hollow: query-aware',
              ]),
            ]
          : [],
      ),
  );
};
