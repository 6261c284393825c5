/** Two to four settings beside each other: what they measure, and which differences the samples tell apart. */
import { formatLength } from '../../../core/units.js';
import { deltaText, marksOf, rankText, scoreText, shareText, timeText } from '../cell-text.js';
import { axisTitle, shownValue } from '../pareto-spec.js';
import { quantities, type Setting, type SiteData, settingName } from '../site-data.js';
import { badge, button, element, isolated, scrolling } from './dom.js';
import { ALPHA, type JudgedPair, judgeCells, judgePairs, MARGIN } from './pairs.js';
import type { State } from './state.js';
import type { Change } from './table.js';

const pText = (p: number): string => (p < 0.001 ? p.toExponential(0) : p.toFixed(3));

const verdict = (mean: number, pAdjusted: number): string =>
  pAdjusted > ALPHA ? 'not told apart' : mean > 0 ? 'first is better' : 'second is better';

export const createCompare =
  (data: SiteData, change: Change) =>
  (state: State): { nodes: Node[]; count: string } => {
    const chosen = state.chosen.flatMap((id) => data.settings.find((setting) => setting.id === id) ?? []);
    const count = `${chosen.length} settings chosen`;
    const hint = element('p', { class: 'soft' }, ['Choose two to four settings by the boxes of the table.']);
    if (chosen.length < 2) return { count, nodes: [hint, chips(chosen, change)] };
    const judged = judgePairs(data, chosen);
    return {
      count,
      nodes: [
        chips(chosen, change),
        scrolling('chosen settings', besideEachOther(chosen)),
        element('h2', {}, ['Differences']),
        element('p', { class: 'soft' }, [
          `First − second on the same samples, ${100 * data.level} % interval; two-sided exact p (simulated where scores have no common step), Holm over the pairs; told apart at ${ALPHA}. A sample that stands in several cells counts as one cluster. The same tests as winnow compare (margin ${MARGIN}).`,
        ]),
        scrolling('differences of pairs', pairsTable(judged)),
        ...judged.filter(({ scores }) => scores !== undefined).map((pair) => byCell(data, pair)),
      ],
    };
  };

const chips = (chosen: readonly Setting[], change: Change): HTMLElement =>
  element(
    'div',
    { class: 'bar', id: 'chosen' },
    chosen.map((setting) =>
      button(`remove ${settingName(setting)}`, {}, () =>
        change({ chosen: chosen.filter((one) => one !== setting).map(({ id }) => id) }),
      ),
    ),
  );

const besideEachOther = (chosen: readonly Setting[]): HTMLElement => {
  const row = (name: string, textOf: (setting: Setting) => Node | string): HTMLElement =>
    element('tr', {}, [
      element('th', { scope: 'row' }, [name]),
      ...chosen.map((setting) => element('td', {}, [textOf(setting)])),
    ]);
  return element('table', { id: 'chosen-table' }, [
    element('thead', {}, [
      element('tr', {}, [
        element('th', { class: 'text', scope: 'col' }, ['quantity']),
        ...chosen.map((setting) =>
          element('th', { scope: 'col' }, [element('a', { href: setting.page }, [isolated(settingName(setting))])]),
        ),
      ]),
    ]),
    element('tbody', {}, [
      row('marks', (setting) =>
        element('span', {}, [...marksOf(setting).flatMap((mark) => [badge(mark), ' ']), badge(setting.badge)]),
      ),
      row('rank', (setting) =>
        setting.rank === null ? setting.unranked : `${rankText(setting)} of ${setting.ranked}`,
      ),
      row('score', ({ estimate }) => scoreText(estimate)),
      row('Δ dense', ({ delta }) => deltaText(delta)),
      ...quantities
        .filter(({ id }) => id !== 'score')
        .map(({ id }) => row(axisTitle(id), (setting) => timeText(shownValue(setting, id)))),
    ]),
  ]);
};

const heads = (names: readonly string[], numbers: readonly string[]): HTMLElement =>
  element('thead', {}, [
    element('tr', {}, [
      ...names.map((name) => element('th', { class: 'text', scope: 'col' }, [name])),
      ...numbers.map((name) => element('th', { scope: 'col' }, [name])),
    ]),
  ]);

const pairsTable = (judged: readonly JudgedPair[]): HTMLElement =>
  element('table', { id: 'pairs' }, [
    heads(
      ['first', 'second', 'verdict'],
      ['cells', 'pairs', '−/+', 'score', 'difference', 'p', 'p Holm', 'detectable'],
    ),
    element(
      'tbody',
      {},
      judged.map(({ a, b, reason, scores, cells, pAdjusted }) => {
        const names = [a, b].map((setting, i) =>
          element(i === 0 ? 'th' : 'td', { class: 'text', scope: i === 0 ? 'row' : undefined }, [
            isolated(settingName(setting)),
          ]),
        );
        if (scores === undefined)
          return element('tr', {}, [
            ...names,
            element('td', { class: 'text', colspan: 9 }, [`not compared: ${reason}`]),
          ]);
        return element('tr', {}, [
          ...names,
          element('td', { class: 'text' }, [verdict(scores.difference.mean, pAdjusted!)]),
          ...[
            String(cells.length),
            String(scores.pairs),
            `${scores.worse}/${scores.better}`,
            `${shareText(scores.score)} against ${shareText(scores.otherScore)}`,
            deltaText(scores.difference),
            pText(scores.p),
            pText(pAdjusted!),
            scores.detectable === undefined ? '–' : shareText(scores.detectable),
          ].map((text) => element('td', {}, [text])),
        ]);
      }),
    ),
  ]);

/** Computed when it is opened: a pair may have hundreds of cells. */
const byCell = (data: SiteData, pair: JudgedPair): HTMLElement => {
  const details = element('details', {}, [
    element('summary', {}, [
      isolated(settingName(pair.a)),
      ' and ',
      isolated(settingName(pair.b)),
      ' by task and length',
    ]),
  ]);
  details.addEventListener('toggle', () => {
    if (!details.open || details.childElementCount > 1) return;
    const rows = judgeCells(data, pair).map(({ task, length, scores, pAdjusted }) =>
      element('tr', {}, [
        element('th', { class: 'text', scope: 'row' }, [isolated(task)]),
        element('td', { class: 'text' }, [verdict(scores.difference.mean, pAdjusted)]),
        ...[
          formatLength(length),
          String(scores.pairs),
          `${scores.worse}/${scores.better}`,
          deltaText(scores.difference),
          pText(scores.p),
          pText(pAdjusted),
        ].map((text) => element('td', {}, [text])),
      ]),
    );
    const table = element('table', {}, [
      heads(['task', 'verdict'], ['length', 'pairs', '−/+', 'difference', 'p', 'p Holm']),
      element('tbody', {}, rows),
    ]);
    details.append(scrolling('differences by task and length', table));
  });
  return details;
};
