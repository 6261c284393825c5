/** Texts of models and tasks as HTML: cut where they are long, isolated in direction, with what was asked for marked. */
import { type Html, html, raw } from './html.js';

/** UTF-16 units of an output and of a question that a page shows; the whole text is in the download. */
export const SHOWN_OUTPUT = 700;
export const SHOWN_QUESTION = 400;
const MOST_REFERENCES = 12;

/** The text with every reference in it marked, whatever its case; the longest reference wins where two overlap. */
export const markedText = (text: string, references: readonly string[], shown = SHOWN_OUTPUT): Html => {
  const cut = wholeUnits(text, shown);
  const words = references
    .filter((word) => word.trim() !== '' && word.length <= shown)
    .sort((a, b) => b.length - a.length)
    .slice(0, MOST_REFERENCES)
    .map((word) => word.toLowerCase());
  const lower = cut.toLowerCase();
  // Letters whose lower case is longer would shift the places.
  const marks = lower.length === cut.length ? placesOf(lower, words) : [];
  const parts: Html[] = [];
  let at = 0;
  for (const [from, to] of marks) {
    parts.push(html`${cut.slice(at, from)}<mark>${cut.slice(from, to)}</mark>`);
    at = to;
  }
  parts.push(html`${cut.slice(at)}`);
  const rest = text.length - cut.length;
  return html`<bdi>${parts}</bdi>${rest === 0 ? undefined : html`<span class="cut"> … ${rest} more characters in the download</span>`}`;
};

/** Never half of a surrogate pair. */
const wholeUnits = (text: string, most: number): string => {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most);
};

const placesOf = (text: string, words: readonly string[]): [number, number][] => {
  const found: [number, number][] = [];
  for (let at = 0; at < text.length; ) {
    let first: [number, number] | undefined;
    for (const word of words) {
      const from = text.indexOf(word, at);
      if (from >= 0 && (first === undefined || from < first[0])) first = [from, from + word.length];
    }
    if (first === undefined) break;
    found.push(first);
    at = first[1];
  }
  return found;
};

/** Isolated from the direction of what stands around it. */
export const isolated = (text: string): Html => html`<bdi>${text}</bdi>`;

/** The small subset of Markdown that method cards are written in: nested lists, bold, code, links with http addresses. */
export const cardHtml = (lines: readonly string[]): Html => {
  let markup = '';
  let depth = 0;
  for (const line of lines) {
    const item = /^( *)- (.*)$/.exec(line);
    const level = item === null ? 0 : 1 + item[1]!.length / 2;
    for (; depth < level; depth++) markup += depth === 0 ? '<ul>' : '<li class="sub"><ul>';
    for (; depth > level; depth--) markup += depth === 1 ? '</ul>' : '</ul></li>';
    if (item !== null) markup += `<li>${inline(item[2]!)}</li>`;
    else if (line.startsWith('## ')) markup += `<h3>${inline(line.slice(3))}</h3>`;
    else if (line !== '') markup += `<p>${inline(line)}</p>`;
  }
  for (; depth > 0; depth--) markup += depth === 1 ? '</ul>' : '</ul></li>';
  return raw(markup);
};

const inline = (text: string): string =>
  html`${text}`.markup
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replace(/\[([^\]]+)\]\((https?:\/\/[^)\s]+)\)/g, '<a href="$2" rel="noreferrer">$1</a>');
