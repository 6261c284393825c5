/** The frame of every page: one style and at most one script, both named by their hash in the policy, nothing from anywhere else. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Html, html, inlineJson, raw } from './html.js';

export interface Shell {
  readonly title: string;
  readonly body: Html;
  readonly script?: string;
  /** Read by the script from an element with id `data`. */
  readonly data?: unknown;
}

const style = (): string => readFileSync(new URL('site.css', import.meta.url), 'utf8');

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export const createShell = (): ((shell: Shell) => string) => {
  const css = style();
  return ({ title, body, script, data }) => {
    const policy = [
      "default-src 'none'",
      `style-src ${hashOf(css)}`,
      ...(script === undefined ? [] : [`script-src ${hashOf(script)}`]),
      "img-src data:; base-uri 'none'; form-action 'none'",
    ].join('; ');
    return `<!doctype html>\n${
      html`<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${raw(css)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
${body}
${data === undefined ? undefined : html`<script type="application/json" id="data">${inlineJson(data)}</script>`}
${script === undefined ? undefined : html`<script>${raw(script)}</script>`}
</body>
</html>`.markup
    }\n`;
  };
};

/** Class of a field of a heat map: eleven steps from 0 to 1. */
export const heatClass = (score: number): string => `heat h${Math.round(10 * Math.min(1, Math.max(0, score)))}`;
