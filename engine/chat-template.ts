/** Chat templates of models: Jinja programs that turn messages into the text a model was trained on. */
import { Template } from '@huggingface/jinja';
import { WinnowError } from '../core/errors.js';
import { fixedDate, runTemplate } from './chat-template-run.js';
import type { Tokenizer } from './tokenizer.js';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A user turn cut at the user's text: what stands before it, and what comes after it up to where the assistant begins. */
export interface TemplateParts {
  readonly head: string;
  readonly turn: string;
}

/** A later user turn: what stands between an answer and the user's text, and what comes after it. */
export interface NextTurnParts {
  readonly between: string;
  readonly turn: string;
}

export interface ChatTemplate {
  /** The whole text, ending where the assistant's answer begins. */
  render(messages: readonly ChatMessage[]): string;
  /**
   * Rendered once per system text and kept. What the template does on its own, such as a default system prompt, stays. Where a
   * template knows no system role, the system text stands before the user's, an empty line between them.
   */
  split(system: string | undefined): TemplateParts;
  /** Rendered once. */
  splitNext(): NextTurnParts;
}

/** Throws: ERR_MODEL_FORMAT for a template that does not parse; `render` and `split` when it fails or drops the user's text. */
export function compileChatTemplate(where: string, source: string, specials: Tokenizer['specials']): ChatTemplate {
  const template = parse(where, source);
  const render = (messages: readonly ChatMessage[]): string => {
    try {
      return runTemplate(template.parsed, {
        messages,
        add_generation_prompt: true,
        bos_token: specials.bos ?? '',
        eos_token: specials.eos ?? '',
        unk_token: specials.unk ?? '',
        pad_token: specials.pad ?? '',
        date_string: fixedDate,
      });
    } catch (error) {
      throw new WinnowError(
        'ERR_MODEL_FORMAT',
        `${where}, chat template`,
        'a text',
        (error as Error).message,
        'Feed the text without a template (--raw).',
      );
    }
  };
  const kept = new Map<string | undefined, TemplateParts>();
  const split = (system: string | undefined): TemplateParts => {
    const before = kept.get(system);
    if (before !== undefined) return before;
    const parts = splitAtUser(where, render, system);
    kept.set(system, parts);
    return parts;
  };
  let next: NextTurnParts | undefined;
  const splitNext = (): NextTurnParts => {
    next ??= splitAfterAnswer(where, render);
    return next;
  };
  return { render, split, splitNext };
}

/** Stands for the user's text: letters only, so that no template trims, escapes or rewrites it. */
const sentinel = 'QxWinnowUserTextQx';

function splitAtUser(where: string, render: ChatTemplate['render'], system: string | undefined): TemplateParts {
  const pieces = renderedWithSystem(render, system).split(sentinel);
  const [head, turn] = pieces;
  if (pieces.length === 2 && head !== undefined && turn !== undefined) return { head, turn };
  throw new WinnowError(
    'ERR_MODEL_FORMAT',
    `${where}, chat template`,
    "the user's text exactly once",
    `${pieces.length - 1} times`,
    'Feed the text without a template (--raw).',
  );
}

function splitAfterAnswer(where: string, render: ChatTemplate['render']): NextTurnParts {
  const answer = 'QxWinnowAnswerQx';
  const text = render([
    { role: 'user', content: 'QxWinnowFirstQx' },
    { role: 'assistant', content: answer },
    { role: 'user', content: sentinel },
  ]);
  const [, between, turn, ...more] = text.split(new RegExp(`${answer}|${sentinel}`));
  if (between !== undefined && turn !== undefined && more.length === 0 && text.indexOf(answer) < text.indexOf(sentinel))
    return { between, turn };
  throw new WinnowError(
    'ERR_MODEL_FORMAT',
    `${where}, chat template`,
    "an answer and the next user's text, each exactly once",
    text,
    'Ask questions that stand alone (history: none), or use --chat-template off.',
  );
}

/** Templates without a system role refuse the message (Gemma 2) or drop it; folding it is what those with one in name only do (Gemma 3). */
function renderedWithSystem(render: ChatTemplate['render'], system: string | undefined): string {
  const user: ChatMessage = { role: 'user', content: sentinel };
  if (system === undefined) return render([user]);
  let refusal: unknown;
  try {
    const text = render([{ role: 'system', content: system }, user]);
    if (text.includes(system.trim())) return text;
  } catch (error) {
    refusal = error;
  }
  const folded = render([{ role: 'user', content: `${system}\n\n${sentinel}` }]);
  if (!folded.includes(sentinel) && refusal !== undefined) throw refusal;
  return folded;
}

function parse(where: string, source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw new WinnowError(
      'ERR_MODEL_FORMAT',
      `${where}, chat template`,
      'a Jinja template',
      (error as Error).message,
      'Feed the text without a template (--raw).',
    );
  }
}
