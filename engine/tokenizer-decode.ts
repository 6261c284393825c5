/** SentencePiece ids back to text: `▁` is a space, byte tokens are joined to characters. Byte-level BPE is decoded by the library. */
import type { BpeModel } from './tokenizer-library.js';
import { spaceMark } from './tokenizer-rules.js';
import type { TokenizerJson } from './tokenizer-source.js';

/**
 * As the original does it: a run of byte tokens that is no UTF-8 becomes one U+FFFD per byte, and where encoding puts a space in
 * front, decoding takes one away. Not left to the library, which drops byte order marks.
 */
export function characterDecoder(model: BpeModel, json: TokenizerJson): (ids: readonly number[]) => string {
  const stripsSpace = takesSpaceAway(json.decoder);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return (ids) => {
    let text = '';
    let bytes: number[] = [];
    const flush = (): void => {
      try {
        text += utf8.decode(Uint8Array.from(bytes));
      } catch {
        text += '\ufffd'.repeat(bytes.length);
      }
      bytes = [];
    };
    for (const id of ids) {
      const token = model.vocab[id] ?? '';
      const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
      if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
      else {
        if (bytes.length > 0) flush();
        text += token.replaceAll(spaceMark, ' ');
      }
    }
    if (bytes.length > 0) flush();
    return stripsSpace && text.startsWith(' ') ? text.slice(1) : text;
  };
}

interface Step {
  readonly type?: unknown;
  readonly decoders?: unknown;
  readonly prepend_scheme?: unknown;
}

function takesSpaceAway(decoder: unknown): boolean {
  const { type, decoders, prepend_scheme: scheme } = (decoder ?? {}) as Step;
  if (type === 'Sequence' && Array.isArray(decoders)) return decoders.some(takesSpaceAway);
  return type === 'Strip' || (type === 'Metaspace' && scheme !== 'never');
}
