import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { loadAddon } from '../../native/index.js';
import { batchesOf } from './batches.js';
import { readEncoderConfig } from './config.js';
import { type Encoder, openEncoder } from './encoder.js';
import { buildEncoder } from './graph.js';
import { longestFirst } from './text.js';
import { type TinyEncoderSettings, writeTinyEncoder } from './tiny-encoder.js';
import { openEncoderWeights } from './weights.js';

const root = mkdtempSync(join(tmpdir(), 'winnow-encoder-'));
after(() => rmSync(root, { recursive: true, force: true }));
const addon = loadAddon();
addon.configure('scalar', 'reference', 1);

let folders = 0;
const folderOf = (name: string, settings: TinyEncoderSettings = {}): string =>
  writeTinyEncoder(join(root, `${name}-${folders++}`), name, settings);
const withEncoder = async (folder: string, body: (encoder: Encoder) => Promise<void>): Promise<void> => {
  const encoder = await openEncoder(folder, addon, 1);
  try {
    await body(encoder);
  } finally {
    await encoder.close();
  }
};
const close = (actual: Float32Array, expected: ArrayLike<number>, bound = 1e-5): void => {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) <= bound, `at ${i}: ${value} for ${expected[i]}`);
  });
};

suite('vectors', () => {
  const texts = ['a b c', 'd', 'x y z 1 2 3 4 5 6 7 8 9 a b', 'c b a'];

  test('pooling is the mean or the first of the token vectors, with length 1 where the files say so', async () => {
    const tokenVectors: Float32Array[] = [];
    await withEncoder(folderOf('bert'), async (plain) => {
      const { value, tokens } = await plain.embed(texts, 'token');
      tokenVectors.push(...value);
      assert.deepEqual(tokens, [5, 3, 16, 5], 'special tokens count');
      const mean = (await plain.embed(texts, 'single')).value;
      value.forEach((rows, i) => {
        const sums = new Float64Array(16);
        rows.forEach((x, at) => {
          sums[at % 16]! += x;
        });
        close(
          mean[i]!,
          Array.from(sums, (sum) => sum / (rows.length / 16)),
        );
      });
    });
    await withEncoder(folderOf('bert', { pooling: 'cls', normalise: true }), async (encoder) => {
      const { value } = await encoder.embed(texts, 'single');
      value.forEach((vector, i) => {
        const first = tokenVectors[i]!.subarray(0, 16);
        const length = Math.hypot(...first);
        close(
          vector,
          Array.from(first, (x) => x / length),
        );
      });
      const rows = (await encoder.embed(['a b'], 'token')).value[0]!;
      for (let at = 0; at < rows.length; at += 16)
        assert.ok(Math.abs(Math.hypot(...rows.subarray(at, at + 16)) - 1) < 1e-5);
    });
  });

  test('a text has the same bits alone, in any company and in any order', async () => {
    await withEncoder(folderOf('bert', { pooling: 'mean', normalise: true }), async (encoder) => {
      const alone: Float32Array[] = [];
      for (const text of texts) alone.push((await encoder.embed([text], 'single')).value[0]!);
      const many = [...texts, ...texts.map((text) => `${text} k`), ...texts].reverse();
      const together = (await encoder.embed(many, 'single')).value.reverse();
      texts.forEach((_, i) => {
        assert.deepEqual(together[i], alone[i]);
        assert.deepEqual(together[i + 2 * texts.length], alone[i]);
      });
    });
  });

  test('a long text is cut to the most tokens, which the files may lower, and nothing else changes', async () => {
    await withEncoder(folderOf('bert', { maxTokens: 6 }), async (encoder) => {
      assert.equal(encoder.maxTokens, 6);
      const { value, tokens } = await encoder.embed(['a b c d', 'a b c d e f g h', ''], 'single');
      assert.deepEqual(value[1], value[0]);
      assert.deepEqual(tokens, [6, 6, 2], 'an empty text is its special tokens');
    });
    await withEncoder(folderOf('bert'), async (encoder) => assert.equal(encoder.maxTokens, 24));
    await withEncoder(folderOf('roberta'), async (encoder) => {
      assert.equal(encoder.maxTokens, 22, 'positions begin behind the padding id');
      assert.ok((await encoder.embed(['a '.repeat(60)], 'single')).value[0]!.every(Number.isFinite));
    });
  });
});

suite('pairs and tokens', () => {
  test('a pair is scored with its order and its kinds of text, whatever stands beside it', async () => {
    await withEncoder(folderOf('bert-pairs'), async (encoder) => {
      const { value, tokens } = await encoder.scorePairs('a b', ['c d e', 'a b', 'x']);
      assert.deepEqual(tokens, [8, 7, 6]);
      const alone = await encoder.scorePairs('a b', ['x']);
      assert.equal(alone.value[0], value[2]);
      const swapped = await encoder.scorePairs('x', ['a b']);
      assert.notEqual(swapped.value[0], value[2]);
    });
  });

  test('classes of words are means over their tokens; a long text is read whole, in windows of whole words', async () => {
    const text = 'a bc?  d\n'.repeat(8);
    const folder = folderOf('bert-tokens');
    await withEncoder(folder, async (encoder) => {
      const { value, tokens } = await encoder.classifyWords(text);
      assert.deepEqual([...value.labels], ['LABEL_0', 'LABEL_1']);
      assert.deepEqual(
        value.spans.slice(0, 4).map(({ start, end }) => text.slice(start, end)),
        ['a', 'bc?', 'd', 'a'],
      );
      assert.equal(value.spans.length, 24);
      // A round of words has 1, 2 and 1 tokens; beside the special ones 22 fit: five rounds and one word more, then the rest.
      assert.deepEqual(tokens, [21 + 2, 11 + 2]);
      for (let word = 0; word < 24; word++)
        assert.ok(Math.abs(value.shares[2 * word]! + value.shares[2 * word + 1]! - 1) < 1e-6);
      const tail = (await encoder.classifyWords('d '.concat('a bc?  d '.repeat(2)))).value;
      const short = (await encoder.classifyWords('d a bc? d a bc? d')).value;
      assert.deepEqual(tail.shares, short.shares, 'white space does not count');
      assert.deepEqual((await encoder.classifyWords(' ')).value.spans, []);
    });
  });

  test('shares of words are those of the recorded logits, and means where a word has several tokens', async () => {
    const recorded: { models: { name: string; output: number[][] }[] } = JSON.parse(
      readFileSync(join(import.meta.dirname, 'fixtures', 'tiny.json'), 'utf8'),
    );
    const name = 'xlm-roberta-tokens';
    // Ids 2, then 5, 9, 13, 30, 31, 39, then 3: the first recorded row.
    const logits = recorded.models.find((model) => model.name === name)!.output[0]!;
    await withEncoder(folderOf(name), async (encoder) => {
      const { shares } = (await encoder.classifyWords('b f j 0 1 9')).value;
      for (let word = 0; word < 6; word++) {
        const [no, yes] = [Math.exp(logits[2 * word + 2]!), Math.exp(logits[2 * word + 3]!)];
        close(shares.subarray(2 * word, 2 * word + 2), [no / (no + yes), yes / (no + yes)], 1e-4);
      }
      const apart = (await encoder.classifyWords('a bc ? d')).value.shares;
      const joined = (await encoder.classifyWords('a bc? d')).value.shares;
      close(joined.subarray(2, 4), [(apart[2]! + apart[4]!) / 2, (apart[3]! + apart[5]!) / 2]);
    });
  });

  test('a model of another task is refused', async () => {
    await withEncoder(folderOf('bert'), async (encoder) => {
      await assert.rejects(encoder.scorePairs('a', ['b']), { code: 'ERR_UNSUPPORTED', message: /a model of pairs/ });
      await assert.rejects(encoder.classifyWords('a'), { code: 'ERR_UNSUPPORTED' });
    });
  });
});

test('a ready model.onnx gives what its safetensors give', async () => {
  const folder = folderOf('bert', { pooling: 'mean' });
  const expected: Float32Array[] = [];
  await withEncoder(
    folder,
    async (encoder) => void expected.push(...(await encoder.embed(['a b c', 'd'], 'single')).value),
  );
  const json = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const weights = openEncoderWeights(folder, addon);
  const { model, weights: tensors } = buildEncoder(readEncoderConfig('config.json', json), weights);
  weights.close();
  rmSync(join(folder, 'model.safetensors'));
  mkdirSync(join(folder, 'onnx'));
  writeFileSync(join(folder, 'onnx', 'model.onnx'), model);
  for (const { path, data } of tensors) writeFileSync(join(folder, 'onnx', path), new Uint8Array(data.buffer));
  await withEncoder(folder, async (encoder) => {
    assert.deepEqual((await encoder.embed(['a b c', 'd'], 'single')).value, expected);
  });
});

test('a request to stop ends a long job between batches', async () => {
  let batches = 0;
  const encoder = await openEncoder(folderOf('bert'), addon, 1, () => {
    if (batches++ === 2) throw new Error('stop');
  });
  try {
    await assert.rejects(encoder.embed(new Array(1_000).fill('a b c'), 'single'), /stop/);
    assert.equal(batches, 3);
  } finally {
    await encoder.close();
  }
});

suite('what is refused', () => {
  const rejects = (name: string, change: (folder: string) => void, expected: object): void =>
    void test(name, async () => {
      const folder = folderOf('bert', { pooling: 'mean' });
      change(folder);
      await assert.rejects(openEncoder(folder, addon, 1), expected);
    });
  const edit = (folder: string, file: string, change: object): void => {
    const path = join(folder, file);
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
  };
  const format = { code: 'ERR_MODEL_FORMAT' };
  const unsupported = (message: RegExp) => ({ code: 'ERR_UNSUPPORTED', message });
  rejects('no weights', (f) => rmSync(join(f, 'model.safetensors')), { code: 'ERR_MISSING', message: /model.onnx/ });
  rejects('no tokenizer', (f) => rmSync(join(f, 'tokenizer.json')), { code: 'ERR_MISSING' });
  rejects('another family', (f) => edit(f, 'config.json', { model_type: 'modernbert' }), unsupported(/model.onnx/));
  rejects(
    'another task',
    (f) => edit(f, 'config.json', { architectures: ['BertForQuestionAnswering'] }),
    unsupported(/architectures/),
  );
  rejects(
    'relative positions',
    (f) => edit(f, 'config.json', { position_embedding_type: 'relative_key' }),
    unsupported(/absolute/),
  );
  rejects('heads that do not divide', (f) => edit(f, 'config.json', { num_attention_heads: 3 }), format);
  rejects('a size that is none', (f) => edit(f, 'config.json', { hidden_size: -4 }), format);
  rejects('a tensor of another shape', (f) => edit(f, 'config.json', { intermediate_size: 25 }), {
    code: 'ERR_MODEL_FORMAT',
    message: /shape \[25,16\]/,
  });
  rejects('layers that are not there', (f) => edit(f, 'config.json', { num_hidden_layers: 3 }), {
    code: 'ERR_MODEL_FORMAT',
    message: /encoder\.layer\.2/,
  });
  rejects(
    'max pooling',
    (f) => edit(f, '1_Pooling/config.json', { pooling_mode_max_tokens: true }),
    unsupported(/mean, max/),
  );
  rejects(
    'a pooling folder elsewhere',
    (f) => writeFileSync(join(f, 'modules.json'), JSON.stringify([{ type: 'x.Pooling', path: '../1_Pooling' }])),
    format,
  );
  rejects(
    'a dense module',
    (f) => writeFileSync(join(f, 'modules.json'), JSON.stringify([{ type: 'x.Dense', path: 'd' }])),
    unsupported(/Dense/),
  );
  rejects(
    'a damaged model.onnx',
    (f) => {
      rmSync(join(f, 'model.safetensors'));
      writeFileSync(join(f, 'model.onnx'), 'not a graph');
    },
    format,
  );
});

test('of two texts the longer gives way first', () => {
  assert.deepEqual(longestFirst(3, 4, 10), [3, 4]);
  assert.deepEqual(longestFirst(3, 20, 10), [3, 7]);
  assert.deepEqual(longestFirst(20, 3, 10), [7, 3]);
  assert.deepEqual(longestFirst(20, 20, 11), [5, 6]);
  assert.deepEqual(longestFirst(9, 8, 11), [6, 5]);
  assert.deepEqual(longestFirst(4, 4, 0), [0, 0]);
});

test('batches hold texts of like length, in order, and a few thousand tokens at most', () => {
  const inputs = [3, 17, 5, 500, 16, 511].map((length) => ({ ids: new Array<number>(length).fill(1) }));
  assert.deepEqual(batchesOf(inputs, 512), [
    { members: [0, 2, 4], paddedTokens: 16 },
    { members: [1], paddedTokens: 32 },
    { members: [3, 5], paddedTokens: 512 },
  ]);
  assert.deepEqual(
    batchesOf(new Array(300).fill({ ids: [1, 2] }), 20).map(({ members }) => members.length),
    [128, 128, 44],
  );
  assert.equal(
    batchesOf([{ ids: new Array<number>(20).fill(1) }], 20)[0]!.paddedTokens,
    20,
    'no more than the model takes',
  );
});
