/** Chat templates of models: Jinja programs that turn messages into the text a model was trained on. */
import { createContext, Script } from 'node:vm';
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { WinnowError } from '../core/errors.js';
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

export interface ChatTemplate {
  /** The whole text, ending where the assistant's answer begins. */
  render(messages: readonly ChatMessage[]): string;
  /**
   * Rendered once per system text and kept. What the template does on its own, such as a default system prompt, stays. Where a
   * template knows no system role, the system text stands before the user's, an empty line between them.
   */
  split(system: string | undefined): TemplateParts;
}

/** Templates may print today's date; a fixed one keeps prompts equal from day to day. It is the default of Llama 3's own template. */
const fixedDate = '26 Jul 2024';

/** Throws: ERR_MODEL_FORMAT for a template that does not parse; `render` and `split` when it fails or drops the user's text. */
export function compileChatTemplate(where: string, source: string, specials: Tokenizer['specials']): ChatTemplate {
  const template = parse(where, source);
  const render = (messages: readonly ChatMessage[]): string => {
    try {
      return within(renderLimitMs, () =>
        run(template, {
          messages,
          add_generation_prompt: true,
          bos_token: specials.bos ?? '',
          eos_token: specials.eos ?? '',
          unk_token: specials.unk ?? '',
          pad_token: specials.pad ?? '',
          date_string: fixedDate,
        }),
      );
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
  return { render, split };
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

/** Template.render of the library, with two of its globals replaced: the date, and a range that cannot fill the memory. */
function run(template: Template, variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  const raise = (message: unknown): never => {
    throw new Error(String(message));
  };
  const constants = { true: true, false: false, none: null, True: true, False: false, None: null };
  const globals = { ...constants, raise_exception: raise, range: boundedRange, strftime_now: () => fixedDate };
  for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
  const { value } = new Interpreter(environment).run(template.parsed);
  if (typeof value !== 'string') throw new Error('the template gives no text');
  if (value.length > longestText) throw new Error(`more than ${longestText} characters`);
  return value;
}

/** Far more than any template counts to. */
const longestRange = 10_000;
/** Beyond what any turn's frame takes. */
const longestText = 1 << 20;
/** Templates take milliseconds; a file may hold one that never ends. */
const renderLimitMs = 5_000;

function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = typeof stop === 'number' ? [start, stop] : [0, start];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!(count <= longestRange)) throw new Error(`range() of at most ${longestRange} numbers, not ${count}`);
  return Array.from({ length: count }, (_, index) => from + index * step);
}

const limited = new Script('work()');

/** Runs `work` and throws when it takes longer: V8 stops it wherever it is. */
function within<T>(milliseconds: number, work: () => T): T {
  return limited.runInContext(createContext({ work }), { timeout: milliseconds }) as T;
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
