/** What a user tells an assistant in passing over many conversations. {V} is the value. No value occurs in the generated prose. */
import { CITIES } from './people.js';

const words = (text: string): readonly string[] => text.split(', ');

/** Something of which there is one at a time, and which can change. */
export interface Attribute {
  readonly id: string;
  /** Another attribute that is easily taken for it. */
  readonly near: string;
  readonly question: string;
  /** The beginning of a sentence that the value ends. */
  readonly answer: string;
  readonly says: readonly string[];
  readonly changes: readonly string[];
  readonly values: readonly string[];
}

/** Rome is part of words of the prose. */
const TOWNS = CITIES.filter((city) => city !== 'Rome');
const half = (which: 0 | 1): readonly string[] => TOWNS.filter((_, i) => i % 2 === which);

export const ATTRIBUTES: readonly Attribute[] = [
  {
    id: 'dog',
    near: 'cat',
    question: 'What is the name of my dog?',
    answer: 'Your dog is called',
    says: ['My dog {V} woke me at five.', 'I have to walk my dog, {V}, in a minute.', 'We named our dog {V}.'],
    changes: ['We gave our dog a new name: it is {V} now.', 'Our dog answers to {V} only, so that is the name now.'],
    values: words('Biscuit, Pepper, Rufus, Juniper, Waffles, Bandit, Cinnamon, Domino'),
  },
  {
    id: 'cat',
    near: 'dog',
    question: 'What is the name of my cat?',
    answer: 'Your cat is called',
    says: ['My cat {V} sleeps on the keyboard.', 'I must feed my cat, {V}, before I go.', 'Our cat is called {V}.'],
    changes: ['We gave our cat a new name: it is {V} now.', 'Our cat listens to {V} only, so that is the name now.'],
    values: words('Mittens, Shadow, Saffron, Pickles, Nimbus, Marble, Tofu, Ziggy'),
  },
  {
    id: 'home',
    near: 'office',
    question: 'In which city do I live?',
    answer: 'You live in',
    says: [
      'It is raining here in {V}, where I live.',
      'My flat in {V} is small but warm.',
      'I live in {V}, close to the river.',
    ],
    changes: ['I have moved house: I live in {V} now.', 'The boxes are unpacked, my home is in {V} from now on.'],
    values: half(0),
  },
  {
    id: 'office',
    near: 'home',
    question: 'In which city is my office?',
    answer: 'Your office is in',
    says: [
      'My office is in {V}, so I take the early train.',
      'The lift in our office in {V} is broken again.',
      'I work in an office in {V}.',
    ],
    changes: ['They have moved our office, it is in {V} now.', 'From this month on my office is in {V}.'],
    values: half(1),
  },
  {
    id: 'car',
    near: 'bicycle',
    question: 'What colour is my car?',
    answer: 'The colour of your car is',
    says: [
      'My car is {V}, which hides the mud.',
      'Somebody scratched my {V} car.',
      'The garage had my car ready, {V} as ever.',
    ],
    changes: ['I had the car painted, it is {V} now.', 'I drive another car now, a {V} one.'],
    values: words('turquoise, maroon, beige, crimson, lilac, ochre, teal, silver'),
  },
  {
    id: 'bicycle',
    near: 'car',
    question: 'What colour is my bicycle?',
    answer: 'The colour of your bicycle is',
    says: [
      'My bicycle is {V}, you cannot miss it.',
      'Someone left a note on my {V} bicycle.',
      'I ride a {V} bicycle to the market.',
    ],
    changes: ['I painted my bicycle, it is {V} now.', 'My old bicycle is gone, the one I have now is {V}.'],
    values: words('magenta, lavender, burgundy, khaki, indigo, coral, cream, violet'),
  },
  {
    id: 'dish',
    near: 'allergy',
    question: 'What is my favourite dish?',
    answer: 'Your favourite dish is',
    says: [
      'I could eat {V} every day, it is my favourite dish.',
      'My favourite dish is {V}.',
      'There is {V} tonight, my favourite dish.',
    ],
    changes: ['I have a new favourite dish: {V}.', 'My favourite dish used to be another one, but now it is {V}.'],
    values: words('lasagne, ramen, paella, moussaka, goulash, risotto, gumbo, pierogi'),
  },
  {
    id: 'allergy',
    near: 'dish',
    question: 'What am I allergic to?',
    answer: 'You are allergic to',
    says: [
      'I am allergic to {V}, so I read every label.',
      'My allergy to {V} spoiled the party.',
      'The doctor says that I am allergic to {V}.',
    ],
    changes: [
      'A new test says that what I am allergic to is {V}, and nothing else.',
      'It turns out that my allergy is to {V}, not to what we thought.',
    ],
    values: words('peanuts, shellfish, sesame, strawberries, hazelnuts, mangoes, celery, lupins'),
  },
  {
    id: 'instrument',
    near: 'sport',
    question: 'Which instrument do I play?',
    answer: 'The instrument that you play is the',
    says: [
      'I play the {V}, to the regret of my neighbours.',
      'My {V} lesson was moved to the evening.',
      'I practised the {V} for an hour.',
    ],
    changes: ['I gave up my old instrument, I play the {V} now.', 'I have changed instruments: it is the {V} now.'],
    values: words('cello, oboe, accordion, banjo, trombone, ukulele, bassoon, harpsichord'),
  },
  {
    id: 'sport',
    near: 'instrument',
    question: 'Which sport do I do?',
    answer: 'The sport that you do is',
    says: [
      'My knee hurts after {V} practice, the only sport I do.',
      'I do one sport, {V}, and badly.',
      'The sport I do is {V}.',
    ],
    changes: ['I have changed my sport, it is {V} now.', 'No more of the old sport for me: I do {V} now.'],
    values: words('archery, judo, lacrosse, handball, curling, badminton, karate, snooker'),
  },
];

/** Things that add up over conversations. */
export interface Collection {
  readonly id: string;
  readonly question: string;
  readonly answer: string;
  readonly says: readonly string[];
  /** The same of somebody else. */
  readonly others: readonly string[];
  readonly values: readonly string[];
}

export const COLLECTIONS: readonly Collection[] = [
  {
    id: 'plants',
    question: 'Which plants have I bought? Name all of them.',
    answer: 'The plants that you have bought are',
    says: [
      'I bought a plant for the balcony: {V}.',
      'The market had {V}, so I bought one for the window.',
      'I came home with a new plant, {V}.',
    ],
    others: ['My neighbour bought a plant: {V}.', 'A friend of mine came home with a new plant, {V}.'],
    values: words('fern, orchid, cactus, begonia, jasmine, oleander, hydrangea, dahlia'),
  },
  {
    id: 'tools',
    question: 'Which tools have I bought? Name all of them.',
    answer: 'The tools that you have bought are',
    says: [
      'I bought a tool for the workshop: {V}.',
      'There was a sale, and now I own one more tool, {V}.',
      'I treated myself to a new tool: {V}.',
    ],
    others: ['My brother bought a tool: {V}.', 'The man next door treated himself to a new tool: {V}.'],
    values: words('chisel, jigsaw, lathe, mallet, hacksaw, sander, crowbar, spanner'),
  },
  {
    id: 'trips',
    question: 'Which cities have I visited this year? Name all of them.',
    answer: 'The cities that you have visited are',
    says: [
      'I am just back from a trip to {V}.',
      'We spent a few days in {V} and saw the old town.',
      'My trip to {V} was far too short.',
    ],
    others: ['My parents are just back from a trip to {V}.', 'A colleague spent a few days in {V}.'],
    values: TOWNS,
  },
];

/** Things that a user did once; they complete "I … " and "you … ". */
export const DEEDS: readonly string[] = words(
  'adopted a parrot, ran a half-marathon, repainted the kitchen, sold the old piano, joined a choir, planted a pear tree, repaired the roof, bought a telescope, finished a patchwork quilt, took part in a chess tournament, built a birdhouse, learned to juggle',
);

export const TELLING: readonly string[] = [
  'Something I wanted to tell you: I {D}.',
  'Good news, I {D}.',
  'You will laugh, but I {D}.',
  'I {D}, and I am still proud of it.',
  'Big day for me: I {D}.',
];

/** What a user asks for besides; none says anything about the user. */
export const REQUESTS: readonly string[] = [
  'Tell me something worth knowing.',
  'What would you write about today?',
  'Give me something to read on the train.',
  'Go on with what you told me before.',
  'Could you write a short passage for me?',
  'I need a paragraph for a newsletter, any subject.',
  'Say something that makes me think.',
  'Please write a few lines, I am bored.',
  'What do you make of your favourite subject?',
  'Surprise me with a thought.',
  'Help me fall asleep with some prose.',
  'Explain something without a single number.',
  'Write as if you were an essayist.',
  'One more passage, please.',
  'What is on your mind?',
  'Could you give me an example of clear writing?',
  'Let me hear an opinion that you can defend.',
  'Draft something that I can edit.',
  'Which thought would you like to share?',
  'Talk to me about anything you like.',
  'I want to practise reading aloud, so write something.',
  'Can you put a piece of advice into words?',
  'Fill half a page for me, would you?',
  'Tell me what most people get wrong.',
];
