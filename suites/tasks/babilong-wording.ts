/** What is said before the text of each bAbI task, and the form that the scorer can read. */
export interface BabilongWording {
  readonly instruction: string;
  readonly form: string;
}

const hidden = (what: string): string =>
  `The following text of books has sentences about ${what} between its own. Use only these to answer the question at the end.`;

const people = hidden('people and where they are');
const things = hidden('people, where they go and what they take, drop or give away');
const latest = 'Later sentences replace earlier ones.';
const carried = 'A thing that somebody has taken goes where that person goes, until it is dropped.';
const oneRoom = 'Answer with one word, the room.';
const yesNo = 'Answer with one word, yes or no.';

export const BABILONG_WORDING: readonly BabilongWording[] = [
  { instruction: `${people} ${latest}`, form: oneRoom },
  { instruction: `${things} ${carried} ${latest}`, form: oneRoom },
  { instruction: `${things} ${carried}`, form: oneRoom },
  { instruction: hidden('rooms and what lies north, south, east or west of them'), form: oneRoom },
  { instruction: `${things} ${latest}`, form: 'Answer with one word, the person or the thing.' },
  { instruction: `${people} ${latest}`, form: yesNo },
  { instruction: `${things} ${latest}`, form: 'Answer with one word: none, one, two or three.' },
  {
    instruction: `${things} ${latest}`,
    form: 'Answer with the names of the things alone, separated by commas, or with the word nothing.',
  },
  { instruction: `${people} ${latest}`, form: yesNo },
  { instruction: `${people} ${latest}`, form: 'Answer with one word: yes, no or maybe.' },
  { instruction: `${people} ${latest}`, form: oneRoom },
  { instruction: `${people} ${latest}`, form: oneRoom },
  { instruction: `${people} ${latest}`, form: oneRoom },
  {
    instruction: hidden('people and where they were at which time of the day'),
    form: 'Answer with one word, the place.',
  },
  {
    instruction: hidden('animals, their names and which animal is afraid of which'),
    form: 'Answer with one word, the kind of animal.',
  },
  { instruction: hidden('animals, their names and their colours'), form: 'Answer with one word, the colour.' },
  { instruction: hidden('shapes and where they stand to each other'), form: yesNo },
  { instruction: hidden('boxes and other things, which is bigger and which fits into which'), form: yesNo },
  {
    instruction: hidden('rooms and what lies north, south, east or west of them'),
    form: 'Answer with two letters out of n, s, e and w, separated by a comma: the steps of the way.',
  },
  {
    instruction: hidden('people, how they feel, where they go and why'),
    form: 'Answer with one word, a feeling or a place.',
  },
];
