/** Elements from data. Texts of strangers only ever become text nodes and attribute values, never markup. */

type Child = Node | string | undefined;
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export const element = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  children: readonly Child[] = [],
): HTMLElementTagNameMap[K] => filled(document.createElement(tag), attributes, children);

export const svgElement = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  children: readonly Child[] = [],
): SVGElementTagNameMap[K] => filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

const filled = <E extends Element>(node: E, attributes: Attributes, children: readonly Child[]): E => {
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : String(value));
  node.append(...children.filter((child) => child !== undefined));
  return node;
};

/** Text of a stranger: its direction is its own. */
export const isolated = (text: string): HTMLElement => element('bdi', {}, [text]);

export const button = (label: string, attributes: Attributes, onClick: () => void): HTMLButtonElement => {
  const made = element('button', { type: 'button', ...attributes }, [label]);
  made.addEventListener('click', onClick);
  return made;
};

export const badge = (word: string): HTMLElement => element('span', { class: `badge ${word}` }, [word]);

/** A scrolling frame that the keyboard can reach. */
export const scrolling = (label: string, child: Node): HTMLElement =>
  element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, [child]);

/** Offers a file that exists in the page alone. */
export const offerFile = (name: string, type: string, text: string): void => {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
};
