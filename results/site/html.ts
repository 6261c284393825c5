/** HTML that holds texts of strangers: everything is escaped unless it was made here. */

/** Markup that is safe as it stands. */
export interface Html {
  readonly markup: string;
}

export const raw = (markup: string): Html => ({ markup });

type Part = Html | string | number | undefined | readonly Part[];

/** A template: its own text is markup, every value is escaped, `Html` values and lists of them are put in as they are. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  raw(strings.reduce((done, text, i) => `${done}${i === 0 ? '' : markupOf(parts[i - 1])}${text}`, ''));

export const join = (parts: readonly Html[], between = ''): Html =>
  raw(parts.map(({ markup }) => markup).join(between));

const markupOf = (part: Part): string => {
  if (part === undefined) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeText(String(part));
  return 'markup' in part ? part.markup : part.map(markupOf).join('');
};

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export const escapeText = (text: string): string => visible(text).replace(/[&<>"']/g, (sign) => entities[sign]!);

/** Signs that turn the direction of text, hide, or are no text at all, as their code: ⟨U+202E⟩. Line ends and tabs stay. */
export const visible = (text: string): string =>
  text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (sign) => `⟨U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );

/** JSON inside a script element: nothing in it can end the element or begin a comment. */
export const inlineJson = (value: unknown): Html => raw(JSON.stringify(value).replace(/</g, '\\u003c'));
