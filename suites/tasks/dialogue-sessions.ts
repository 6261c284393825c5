/** Dated conversations between a user and an assistant, as a context shows them. */
import { createRandom, type Random } from '../../core/random.js';
import { REQUESTS } from '../../datasets/personal-facts.js';
import { proseSentences } from '../../datasets/prose.js';
import type { Naming, ShownDocument } from './world-layout.js';
import type { NeededDocument } from './world-sample.js';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAY_MS = 86_400_000;

/** Sessions are numbered by their dates, which lie one to nine days apart. */
export const datedSessions = (random: Random): Naming => {
  const days = [random.integer(0, 700)];
  const dayOf = (number: number): number => {
    while (days.length < number) days.push(days.at(-1)! + random.integer(1, 9));
    return days[number - 1]!;
  };
  return {
    id: (number) => `Session ${number}`,
    heading: (number) => {
      const date = new Date(Date.UTC(2021, 0, 1) + dayOf(number) * DAY_MS);
      return `Session ${number} (${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()})\n`;
    },
  };
};

/** Writes sessions from one stream: one or two exchanges, the assistant's turns in the generated prose. */
export const sessionWriter = (...seed: readonly (string | number)[]) => {
  const random = createRandom('sessions', ...seed);
  const prose = proseSentences('sessions', ...seed);
  const reply = (): string =>
    Array.from({ length: random.integer(2, 4) }, () => prose.next().value as string).join(' ');

  /** `told`: what the user says in passing, in one of the turns; that turn is the evidence. */
  const write = (told?: string): NeededDocument => {
    const exchanges = random.integer(1, 2);
    const place = random.integer(0, exchanges - 1);
    const evidence: { start: number; end: number }[] = [];
    let text = '';
    for (let i = 0; i < exchanges; i++) {
      const request = random.pick(REQUESTS);
      const says = told === undefined || i !== place ? request : `${told} ${request}`;
      text += 'User: ';
      if (says !== request) evidence.push({ start: text.length, end: text.length + says.length });
      text += `${says}\nAssistant: ${reply()}\n`;
    }
    return { about: '', text, evidence };
  };
  const made: ShownDocument[] = [];
  return {
    write,
    /** Session i in which nothing is told. */
    filler: (index: number): ShownDocument => {
      while (made.length <= index) made.push(write());
      return made[index]!;
    },
  };
};
