/** A tokenizer from a Hugging Face directory: `tokenizer.json` and what stands beside it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../core/errors.js';
import { readJson } from './checkpoint.js';
import { collectStopIds, parseTokenizerJson, type TokenizerSource } from './tokenizer-source.js';

type Json = Readonly<Record<string, unknown>>;

/** Throws: ERR_MISSING without `tokenizer.json` (`tokenizer.model` alone is not read), ERR_MODEL_FORMAT, ERR_UNSUPPORTED. */
export function tokenizerFromDirectory(path: string): TokenizerSource {
  const where = join(path, 'tokenizer.json');
  if (!existsSync(where)) {
    throw new WinnowError(
      'ERR_MISSING',
      path,
      'tokenizer.json',
      'none',
      'A SentencePiece tokenizer.model has to be converted to tokenizer.json first.',
    );
  }
  const json = parseTokenizerJson(where, readJson(where));
  const settings = optionalJson(join(path, 'tokenizer_config.json'));
  const specials: Record<string, string> = {};
  for (const kind of ['bos', 'eos', 'unk', 'pad'] as const) {
    const text = tokenText(settings[`${kind}_token`]);
    if (text !== undefined) specials[kind] = text;
  }
  const idOf = (text: string): number | undefined =>
    json.added_tokens.find(({ content }) => content === text)?.id ?? json.model.vocab[text];
  const ends = [
    optionalJson(join(path, 'config.json')).eos_token_id,
    optionalJson(join(path, 'generation_config.json')).eos_token_id,
  ].flat();
  const endText = specials.eos === undefined ? undefined : idOf(specials.eos);
  const named = [...ends, endText].filter((id): id is number => Number.isInteger(id));
  return {
    where,
    name: `${path.split(/[\\/]/).pop()}/tokenizer.json`,
    json,
    specials,
    stopIds: collectStopIds(named, json.added_tokens),
    chatTemplate: chatTemplateOf(path, settings),
    startText: settings.add_bos_token === false ? undefined : firstSpecial(json.post_processor),
  };
}

/** The special token that the post-processor puts before a text. */
function firstSpecial(step: unknown): string | undefined {
  const { type, processors, single } = (step ?? {}) as { type?: unknown; processors?: unknown; single?: unknown };
  if (type === 'Sequence' && Array.isArray(processors))
    return processors.map(firstSpecial).find((text) => text !== undefined);
  if (type !== 'TemplateProcessing' || !Array.isArray(single)) return undefined;
  const id = (single[0] as { SpecialToken?: { id?: unknown } } | undefined)?.SpecialToken?.id;
  return typeof id === 'string' ? id : undefined;
}

function optionalJson(path: string): Json {
  if (!existsSync(path)) return {};
  const json = readJson(path);
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json;
  throw new WinnowError('ERR_MODEL_FORMAT', path, 'a JSON object', json);
}

/** A special token stands there as a string or as an object with `content`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : undefined;
}

/** `chat_template.jinja`, else `chat_template` of the settings: one template, or a list of named ones with a `default`. */
function chatTemplateOf(path: string, settings: Json): string | undefined {
  const file = join(path, 'chat_template.jinja');
  if (existsSync(file)) return readFileSync(file, 'utf8');
  const value = settings.chat_template;
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value.find((entry: { name?: unknown }) => entry?.name === 'default') as
    | { template?: unknown }
    | undefined;
  return typeof named?.template === 'string' ? named.template : undefined;
}
