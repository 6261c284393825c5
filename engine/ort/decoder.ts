/** A decoder that ONNX Runtime runs, with the past of each text kept on the host. */
import { WinnowError } from '../../core/errors.js';
import type { LayerShape } from '../../methods/contract.js';
import type { RotaryEmbedding } from '../core/rotary.js';
import { createAngles } from './angles.js';
import { decoderNames as names } from './decoder-graph.js';
import type { HostTensor, Session } from './session.js';

/** Keys and values of one text, f32, a row for each token and layer. Grows by doubling. */
export interface Past {
  readonly tokens: number;
}

export interface Decoder {
  newPast(): Past;
  /**
   * Feeds tokens after those of `past`, in passes of bounded size. Returns logits f32 [rows, vocabSize]: of every token of the call, of
   * its last one, or none.
   */
  feed(past: Past, ids: Int32Array, logits: 'all' | 'last' | 'none'): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface DecoderFacts {
  readonly shapes: readonly LayerShape[];
  readonly vocabSize: number;
  readonly rotary: readonly RotaryEmbedding[];
  cancelled(): void;
}

/** Tokens of one pass: scores of all heads against the whole past are held at once. */
const PASS_TOKENS = 128;

interface Rows {
  readonly width: number;
  data: Float32Array;
}
interface Store extends Past {
  tokens: number;
  readonly keys: readonly Rows[];
  readonly values: readonly Rows[];
}

export const createDecoder = (session: Session, facts: DecoderFacts): Decoder => {
  const { shapes, vocabSize } = facts;
  /** Layers that have a past. */
  const attending = [...shapes.keys()].filter((layer) => shapes[layer]!.mixer === 'softmax');
  const cached = attending.flatMap((layer) => [names.newKeys(layer), names.newValues(layer)]);
  const angles = createAngles(facts.rotary);

  /** One run of the graph; the past grows by its tokens. */
  const pass = async (
    past: Store,
    ids: Int32Array,
    wanted: readonly number[],
    textLength: number,
  ): Promise<Float32Array> => {
    const count = ids.length;
    const feeds: Record<string, HostTensor> = {
      [names.ids]: i64(ids),
      [names.positions]: i64(Array.from(ids, (_, i) => past.tokens + i)),
      [names.wanted]: i64(wanted),
      ...angles(past.tokens, count, textLength),
    };
    for (const layer of attending) {
      feeds[names.pastKeys(layer)] = rowsOf(past.keys[layer]!, past.tokens);
      feeds[names.pastValues(layer)] = rowsOf(past.values[layer]!, past.tokens);
    }
    const results = await session.run(feeds, [...cached, names.logits]);
    for (const layer of attending) {
      append(past.keys[layer]!, past.tokens, results[names.newKeys(layer)]!.data);
      append(past.values[layer]!, past.tokens, results[names.newValues(layer)]!.data);
    }
    past.tokens += count;
    return results[names.logits]!.data;
  };

  return {
    newPast: (): Store => ({
      tokens: 0,
      keys: shapes.map((shape) => ({ width: shape.numKvHeads * shape.headDim, data: new Float32Array(0) })),
      values: shapes.map((shape) => ({ width: shape.numKvHeads * shape.headDimV, data: new Float32Array(0) })),
    }),
    async feed(past, ids, logits) {
      const unknown = ids.find((id) => id < 0 || id >= vocabSize);
      if (unknown !== undefined)
        throw new WinnowError('ERR_USAGE', 'token ids', `ids from 0 to ${vocabSize - 1}`, unknown);
      const textLength = past.tokens + ids.length;
      const out = new Float32Array(logits === 'all' ? ids.length * vocabSize : logits === 'last' ? vocabSize : 0);
      for (let start = 0; start < ids.length; start += PASS_TOKENS) {
        facts.cancelled();
        const part = ids.subarray(start, start + PASS_TOKENS);
        const isLast = start + part.length === ids.length;
        const wanted = logits === 'all' ? [...part.keys()] : logits === 'last' && isLast ? [part.length - 1] : [];
        out.set(await pass(past as Store, part, wanted, textLength), logits === 'all' ? start * vocabSize : 0);
      }
      return out;
    },
    close: () => session.close(),
  };
};

const i64 = (values: ArrayLike<number>): HostTensor => ({
  i64: BigInt64Array.from({ length: values.length }, (_, i) => BigInt(values[i]!)),
  shape: [values.length],
});

const rowsOf = ({ data, width }: Rows, tokens: number): HostTensor => ({
  f32: data.subarray(0, tokens * width),
  shape: [tokens, width],
});

const append = (rows: Rows, tokens: number, fresh: Float32Array): void => {
  const at = tokens * rows.width;
  if (at + fresh.length > rows.data.length) {
    const grown = new Float32Array(Math.max(2 * rows.data.length, at + fresh.length, 256 * rows.width));
    grown.set(rows.data.subarray(0, at));
    rows.data = grown;
  }
  rows.data.set(fresh, at);
};
