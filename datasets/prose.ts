import { createRandom, type Random } from '../core/random.js';
import { FRAMES, type Role, SHAPES, WORDS } from './prose-frames.js';
import { TOPICS, type Topic } from './prose-topics.js';

/**
 * Essay-like English prose without end: each paragraph keeps to one topic and has four to seven sentences in an order that argues;
 * the topic changes every few paragraphs. It stands in for published essays, which cannot be shipped.
 *
 * Holds no digit and no name. Deterministic in `seed`; memory does not grow with the length.
 */
export function* proseParagraphs(...seed: readonly (string | number)[]): Generator<readonly string[], never> {
  const random = createRandom('prose', ...seed);
  const frames: Decks<string> = new Map();
  const phrases: Decks<string> = new Map();
  const topics: Decks<Topic> = new Map();
  let topic: Topic | undefined;
  let shape: readonly Role[] = [];
  let paragraphsLeft = 0;
  while (true) {
    if (topic === undefined || paragraphsLeft === 0) {
      topic = deal(topics, 'topic', TOPICS, random);
      paragraphsLeft = random.integer(2, 5);
    }
    paragraphsLeft -= 1;
    shape = random.pick(SHAPES.filter((other) => other !== shape));
    const about: Topic = topic;
    yield shape.map((role) => fillFrame(deal(frames, role, FRAMES[role], random), about, phrases, random));
  }
}

/** The sentences of proseParagraphs, one after the other. */
export function* proseSentences(...seed: readonly (string | number)[]): Generator<string, void> {
  for (const paragraph of proseParagraphs(...seed)) yield* paragraph;
}

interface Deck<T> {
  left: T[];
  dealt: T[];
}
/** By what the items are. */
type Decks<T> = Map<string, Deck<T>>;

/** Items in random order, over and over: each comes once a round, and half of a round passes before one returns. */
const deal = <T>(decks: Decks<T>, name: string, items: readonly T[], random: Random): T => {
  const deck = decks.get(name) ?? { left: [], dealt: [] };
  decks.set(name, deck);
  if (deck.left.length === 0) {
    const late = deck.dealt.slice(deck.dealt.length - (deck.dealt.length >> 1));
    const early = items.filter((item) => !late.includes(item));
    deck.left = [...random.shuffle(late), ...random.shuffle(early)];
    deck.dealt = [];
  }
  const item = deck.left.pop()!;
  deck.dealt.push(item);
  return item;
};

const fillFrame = (frame: string, topic: Topic, decks: Decks<string>, random: Random): string => {
  const used = new Set<string>();
  const filled = frame.replace(/\{([^}]+)\}/g, (_, slot: string) => {
    const name = slot.toLowerCase();
    const phrases = phrasesOf(name, topic);
    const deckName = phrases === WORDS[name] ? name : `${topic.subject} ${name}`;
    let phrase = deal(decks, deckName, phrases, random);
    while (used.has(phrase) && used.size < phrases.length) phrase = deal(decks, deckName, phrases, random);
    used.add(phrase);
    return slot === name ? phrase : capitalise(phrase);
  });
  return capitalise(filled).replace(/\b([Aa]) (?=[aeiou])/g, '$1n ');
};

const phrasesOf = (slot: string, topic: Topic): readonly string[] => {
  const words = WORDS[slot];
  if (words !== undefined) return words;
  const phrases = topic[slot as keyof Topic];
  return typeof phrases === 'string' ? [phrases] : phrases;
};

const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
