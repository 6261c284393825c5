import type { Random } from '../core/random.js';
import { FIRST_NAMES, SURNAMES } from './people.js';

const list = (text: string): readonly string[] => text.trim().split(/\s*,\s*/);

const TOWN_STARTS = list(
  'Alder, Ash, Bram, Brack, Cal, Carn, Dun, Elm, Fal, Fen, Gar, Glen, Hal, Hart, Kel, Kirn, Lang, Lin, Mar, Mel, Nor, Oak, Pen, Quar, Raven, Rown, Sal, Sel, Tarn, Thorn, Ul, Var, Wan, Wel, Yar, Zel',
);
const TOWN_ENDS = list(
  'bourne, brook, bury, by, combe, dale, den, fell, field, ford, gate, ham, haven, holm, hurst, keld, ley, low, mere, mouth, ness, port, shaw, stead, stoke, thorpe, toft, ton, wick, worth',
);
const RIVER_STARTS = list(
  'Ar, Bel, Cor, Dov, Er, Fray, Hum, Is, Ker, Lor, Med, Neth, Or, Pell, Rib, Sev, Tam, Uln, Wen, Yth, Clun, Dray, Esk, Glan, Gwen, Hod, Jor, Lud, Mod, Nid, Perr, Quen, Stow, Strad, Tev, Usk, Vyrn, Wharf, Wyl',
);
const RIVER_ENDS = list('ade, ble, dent, en, ett, inder, ise, ock, oon, uin, wash, we, ave, olme, urn, wyn');

export const ORGANISATION_KINDS = list(
  'museum, shipyard, publishing house, observatory, brewery, theatre, printing press, orchestra, botanical garden, glassworks, newspaper, conservatory, clockmaker, foundry, weaving mill, library',
);
export const PROFESSIONS = list(
  'painter, architect, botanist, surveyor, violinist, engraver, physician, astronomer, cartographer, sculptor, translator, watchmaker, engineer, geologist, photographer, chemist, organist, historian, bookbinder, navigator',
);
export const EVENT_KINDS = list(
  'festival, expedition, exhibition, regatta, congress, tournament, pageant, harvest fair, concert season, balloon race, chess match, flower show',
);
const EVENT_WORDS = list(
  'Amber, Autumn, Blue, Bright, Copper, Crystal, Dawn, Distant, Early, Emerald, Evening, Frost, Golden, Grand, Great, Green, High, Iron, Ivory, Jubilee, Lantern, Late, Long, Midnight, Misty, Morning, Northern, Old, Open, Pearl, Quiet, Red, Royal, Sapphire, Scarlet, Silent, Silver, Spring, Summer, Twilight, Velvet, White, Wild, Winter',
);

/** What makes longer names when the short ones run out. */
const TOWN_MIDDLES = list('al, an, ar, den, el, en, er, in, ing, mar, or, sel, ter, un, ver');
const ORGANISATION_MIDDLES = list(
  'Bridge, Castle, Corner, Garden, Gate, Harbour, Hill, Jubilee, Lane, Memorial, Park, Quay, Road, Square, Street, Terrace, Valley',
);
const LETTERS = [...'ABCDEFGHJKLMNOPRSTVW'];

/** Words that stand in names of organisations and events: `Garden` would be a town too. */
const TITLE_WORDS: ReadonlySet<string> = new Set(
  [...ORGANISATION_KINDS, ...EVENT_KINDS, ...EVENT_WORDS, ...ORGANISATION_MIDDLES]
    .flatMap((words) => words.split(' '))
    .map((word) => word.toLowerCase()),
);

const withEvery = (starts: readonly string[], ends: readonly string[]): string[] =>
  starts.flatMap((start) => ['', ...TOWN_MIDDLES].flatMap((middle) => ends.map((end) => start + middle + end)));

/** Every name of one word that could be given, in lower case. */
const WORDS: ReadonlySet<string> = new Set(
  [...withEvery(TOWN_STARTS, TOWN_ENDS), ...withEvery(RIVER_STARTS, RIVER_ENDS), ...SURNAMES, ...FIRST_NAMES].map(
    (name) => name.toLowerCase(),
  ),
);
const PEOPLE = [...SURNAMES, ...FIRST_NAMES].map((name) => name.toLowerCase());
const SHORTEST = 4;

/** Whether a name of one word holds another that could be given (Coroon: Oroon) or stands in a name of people: then it is not given. */
const isAmbiguous = (word: string): boolean => {
  const before = ambiguous.get(word);
  if (before !== undefined) return before;
  const is = findsOther(word.toLowerCase());
  if (ambiguous.size >= MOST_KEPT) ambiguous.clear();
  ambiguous.set(word, is);
  return is;
};

/** Worlds of millions of words draw the same names again and again. */
const ambiguous = new Map<string, boolean>();
const MOST_KEPT = 200_000;

const findsOther = (name: string): boolean => {
  if (PEOPLE.some((other) => other.includes(name))) return true;
  for (let start = 0; start + SHORTEST <= name.length; start++) {
    for (let end = start + SHORTEST; end <= name.length; end++) {
      if (end - start < name.length && WORDS.has(name.slice(start, end))) return true;
    }
  }
  return false;
};

const titled = (kind: string): string => kind.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());

/** Names that none was given twice, none of which holds another; deterministic in the stream it is made from. */
export const createNames = (random: Random) => {
  const given = new Set<string>();
  /** `make` gets a middle part for names, empty while short names are easily found. */
  const fresh = (middles: readonly string[], make: (middle: string) => string, isOneWord = false): string => {
    for (let tries = 0; tries < 10_000; tries++) {
      // Names of one word run out first: two middles make twenty times as many.
      const longer = isOneWord && tries >= 200 ? random.pick(middles) : '';
      const name = make(tries < 20 ? '' : random.pick(middles) + longer);
      if (given.has(name) || (isOneWord && (TITLE_WORDS.has(name.toLowerCase()) || isAmbiguous(name)))) continue;
      given.add(name);
      return name;
    }
    throw new RangeError('the world has run out of names');
  };
  return {
    /** `like`: shares its first name or its surname, drawn. */
    person: (like?: string): string => {
      const parts = like?.split(' ');
      const keepsFirst = parts !== undefined && random.float() < 0.5;
      return fresh(LETTERS, (middle) => {
        const first = keepsFirst ? parts[0] : random.pick(FIRST_NAMES);
        const last = parts !== undefined && !keepsFirst ? parts.at(-1) : random.pick(SURNAMES);
        return `${first} ${middle === '' ? '' : `${middle}. `}${last}`;
      });
    },
    town: (): string =>
      fresh(TOWN_MIDDLES, (middle) => random.pick(TOWN_STARTS) + middle + random.pick(TOWN_ENDS), true),
    river: (): string =>
      fresh(TOWN_MIDDLES, (middle) => random.pick(RIVER_STARTS) + middle + random.pick(RIVER_ENDS), true),
    /** `like`: begins with the same name and is of another kind, or lies elsewhere. */
    organisation: (kind: string, like?: string): string =>
      fresh(ORGANISATION_MIDDLES, (middle) => {
        const start = like?.split(' ')[1] ?? random.pick(SURNAMES);
        return `the ${start} ${middle === '' ? '' : `${middle} `}${titled(kind)}`;
      }),
    event: (kind: string, like?: string): string =>
      fresh(ORGANISATION_MIDDLES, (middle) => {
        const start = like?.split(' ')[1] ?? random.pick(EVENT_WORDS);
        const word = random.pick(EVENT_WORDS);
        return `the ${start} ${word} ${middle === '' ? '' : `${middle} `}${titled(kind)}`;
      }),
  };
};
