import type { Scorer } from '../contract.js';
import { normaliseAnswer } from './normalise.js';

/**
 * Lists of names in free text. Items end at commas, semicolons, line ends and "and"; numbers and bullets before them and lines that end in
 * a colon are no items. An item names whatever it holds after normalisation.
 */
const itemsOf = (prediction: string): string[] =>
  prediction
    .split(/[,;\n]|\band\b/)
    .map((item) => item.replace(/^\s*(?:\d+[.)]|[-*•])\s+/, '').trim())
    .filter((item) => !item.endsWith(':'))
    .map(normaliseAnswer)
    .filter((item) => item !== '');

interface Named {
  /** Names of `wanted` that stand anywhere in the prediction. */
  readonly wanted: number;
  /** Names of `others` that do. */
  readonly unwanted: number;
  /** Different items that name neither. */
  readonly foreign: number;
}

const namedIn = (prediction: string, wanted: readonly string[], others: readonly string[]): Named => {
  const text = normaliseAnswer(prediction);
  const known = [...wanted, ...others].map(normaliseAnswer);
  const count = (names: readonly string[]): number =>
    new Set(names.map(normaliseAnswer).filter((name) => text.includes(name))).size;
  const foreign = new Set(itemsOf(prediction).filter((item) => !known.some((name) => item.includes(name))));
  return { wanted: count(wanted), unwanted: count(others), foreign: foreign.size };
};

const othersOf = (classes: readonly string[], references: readonly string[]): string[] =>
  classes.filter((name) => !references.includes(name));

/** F1 of the names in the prediction against the references, whatever their order; an item that names none of them is a wrong name. */
export const setF1: Scorer = (prediction, { references }) => {
  const { wanted, foreign } = namedIn(prediction, references, []);
  return wanted === 0 ? 0 : (2 * wanted) / (wanted + foreign + references.length);
};

/**
 * KITAB's measures (arXiv 2310.15511) of a list under constraints: `references` satisfy them, the rest of `classes` is from the context but
 * does not, and any other item is not from the context. Shares are of the different names that the prediction lists; names are matched by
 * equality inside an item (upstream: also by part of a title and fuzzy ratio).
 */
const kitab =
  (measure: (named: Named & { readonly listed: number; readonly satisfying: number }) => number): Scorer =>
  (prediction, { references, classes = [] }) => {
    const named = namedIn(prediction, references, othersOf(classes, references));
    const listed = named.wanted + named.unwanted + named.foreign;
    return measure({ ...named, listed, satisfying: references.length });
  };

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

export const kitabScorers = {
  satisfied: kitab(({ wanted, listed }) => share(wanted, listed)),
  unsatisfied: kitab(({ unwanted, listed }) => share(unwanted, listed)),
  'not-from-context': kitab(({ foreign, listed }) => share(foreign, listed)),
  completeness: kitab(({ wanted, satisfying }) => share(wanted, satisfying)),
  'all-correct': kitab(({ wanted, unwanted, foreign, satisfying }) =>
    wanted === satisfying && unwanted === 0 && foreign === 0 ? 1 : 0,
  ),
} satisfies Readonly<Record<string, Scorer>>;
