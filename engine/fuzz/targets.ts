/**
 * What strangers' files go through before a model runs, one target for each kind of file.
 *
 * A target makes input `at` of a seed, the same on every machine, and runs it through everything that reads such a file. Only
 * WinnowErrors of the kinds below may come out.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom, type Random } from '../../core/random.js';
import { type Addon, loadAddon, type WeightSource } from '../../native/index.js';
import { compileChatTemplate } from '../chat-template.js';
import { type BoundedFile, checkRange } from '../checkpoint-file.js';
import { expectedTensors } from '../checkpoint-names.js';
import { configFromGguf } from '../config-gguf.js';
import { configFromHuggingFace } from '../config-huggingface.js';
import { readGguf } from '../gguf.js';
import { readSafetensors, shardNames } from '../safetensors.js';
import { createTokenizer } from '../tokenizer.js';
import { tokenizerFromGguf } from '../tokenizer-gguf.js';
import { tokenizerFromDirectory } from '../tokenizer-huggingface.js';
import { collectStopIds, parseTokenizerJson, type TokenizerSource } from '../tokenizer-source.js';
import { mapGguf } from './gguf-fields.js';
import { mutateBytes, mutateFields, mutateJson, mutateText } from './mutate.js';
import type { Seeds } from './seeds.js';

export interface FuzzInput {
  readonly bytes: number;
  run(): void;
}

export interface FuzzTarget {
  readonly name: string;
  /** Inputs of this target in every hundred. */
  readonly share: number;
  make(seed: number, at: number): FuzzInput;
}

/** Codes that a bad file may end in. */
export const allowedCodes: ReadonlySet<string> = new Set([
  'ERR_MODEL_FORMAT',
  'ERR_UNSUPPORTED',
  'ERR_MISSING',
  // Of the binding, for sizes that are no whole numbers.
  'ERR_SHAPE',
]);

const sample = 'The key is 42; <|im_start|>ünï  code 漢字\n\n </s>';

/** `folder`: a scratch folder of this process. */
export function fuzzTargets(seeds: Seeds, folder: string): FuzzTarget[] {
  const target = (name: string, share: number, make: (random: Random) => FuzzInput): FuzzTarget => ({
    name,
    share,
    make: (seed, at) => make(createRandom('fuzz', name, seed, at)),
  });
  const maps = seeds.gguf.map(mapGguf);
  return [
    target('gguf', 29, (random) => {
      const which = random.integer(0, seeds.gguf.length - 1);
      const [whole, { fields, headerBytes }] = [seeds.gguf[which]!, maps[which]!];
      const bytes =
        random.integer(0, 2) === 0 ? mutateBytes(whole, random, headerBytes) : mutateFields(whole, fields, random);
      return { bytes: bytes.length, run: () => readGgufModel(memoryFile('fuzz.gguf', bytes)) };
    }),
    target('safetensors', 28, (random) => {
      const bytes =
        random.integer(0, 1) === 0
          ? mutateBytes(seeds.safetensors, random, headerEnd(seeds.safetensors))
          : mutateSafetensorsHeader(seeds.safetensors, random);
      return { bytes: bytes.length, run: () => void readSafetensors(memoryFile('fuzz.safetensors', bytes)) };
    }),
    target('safetensors-index', 12, (random) => {
      const text = mutateJson(seeds.index, random);
      return { bytes: text.length, run: () => void shardNames('fuzz.index.json', text) };
    }),
    target('tokenizer-json', 8, (random) => {
      const text = mutateJson(random.pick(seeds.tokenizers), random);
      return { bytes: text.length, run: () => useTokenizer(sourceOf(text)) };
    }),
    target('chat-template', 6, (random) => {
      const text = mutateText(random.pick(seeds.templates), random, templateWords);
      return { bytes: text.length, run: () => useTemplate(text) };
    }),
    target('config-json', 12, (random) => {
      const text = mutateJson(seeds.json['config.json'], random);
      return {
        bytes: text.length,
        run: () => void expectedTensors(configFromHuggingFace('config.json', parsed(text))),
      };
    }),
    target('settings-files', 2, (random) => {
      const name = random.pick(Object.keys(seeds.json));
      const text = mutateJson(seeds.json[name], random);
      return { bytes: text.length, run: () => readDirectory(folder, seeds, name, text) };
    }),
    target('pack-weight', 3, (random) => {
      const source = lyingSource(random);
      return { bytes: source.bytes.length, run: () => packAndFree(loadAddon(), source) };
    }),
  ];
}

/** The target of input `at`: shares interleaved, so that any stretch of inputs has them all. */
export function targetOf(targets: readonly FuzzTarget[], at: number): FuzzTarget {
  const total = targets.reduce((sum, { share }) => sum + share, 0);
  // 37 has no factor in common with a hundred: neighbours are of different targets.
  let rest = (at * 37) % total;
  for (const target of targets) {
    if (rest < target.share) return target;
    rest -= target.share;
  }
  throw new RangeError('no target');
}

function memoryFile(path: string, bytes: Buffer): BoundedFile {
  return {
    path,
    size: bytes.length,
    read: (offset, length, what) => {
      checkRange(path, what, offset, length, bytes.length);
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
    close: () => undefined,
  };
}

function readGgufModel(file: BoundedFile): void {
  const gguf = readGguf(file);
  expectedTensors(configFromGguf(gguf, () => undefined));
  useTokenizer(tokenizerFromGguf(gguf));
}

function useTokenizer(source: TokenizerSource): void {
  const tokenizer = createTokenizer(source);
  const ids = tokenizer.encode(sample, { specials: 'parse' });
  tokenizer.decode(ids);
  if (source.chatTemplate !== undefined) useTemplate(source.chatTemplate);
}

function useTemplate(text: string): void {
  compileChatTemplate('fuzz', text, { bos: '<s>', eos: '</s>' }).split('Be brief.');
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const sourceOf = (text: string): TokenizerSource => {
  const json = parseTokenizerJson('tokenizer.json', parsed(text));
  return {
    where: 'tokenizer.json',
    name: 'fuzz',
    json,
    specials: {},
    stopIds: collectStopIds([], json.added_tokens),
    chatTemplate: undefined,
    startText: undefined,
  };
};

const headerEnd = (bytes: Buffer): number => 8 + Number(bytes.readBigUInt64LE());

function mutateSafetensorsHeader(bytes: Buffer, random: Random): Buffer {
  const end = headerEnd(bytes);
  const header = Buffer.from(mutateJson(JSON.parse(bytes.toString('utf8', 8, end)), random));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, bytes.subarray(end)]);
}

/** A directory whose `name` is damaged and whose other files are sound. */
function readDirectory(folder: string, seeds: Seeds, name: string, text: string): void {
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    const files = { ...seeds.json, 'tokenizer.json': seeds.tokenizers[0] };
    for (const [other, value] of Object.entries(files)) writeFileSync(join(folder, other), JSON.stringify(value));
  }
  writeFileSync(join(folder, name), text);
  try {
    const source = tokenizerFromDirectory(folder);
    if (source.chatTemplate !== undefined) useTemplate(source.chatTemplate);
  } finally {
    writeFileSync(join(folder, name), JSON.stringify(seeds.json[name]));
  }
}

const weightTypes = [
  'F32',
  'F16',
  'BF16',
  'Q8_0',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'IQ4_NL',
  'Q4_K',
  'Q5_K',
  'Q6_K',
] as const;

/** A tensor whose sizes may promise more than its bytes hold. */
function lyingSource(random: Random): WeightSource {
  const near = [0, 1, 2, 16, 17, 31, 32, 64, 255, 256, 512];
  const far = [2 ** 20, 2 ** 28, 2 ** 31, 2 ** 40, 2 ** 53, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY];
  const size = (): number => random.pick(random.integer(0, 3) === 0 ? far : near);
  return {
    bytes: new Uint8Array(random.integer(0, 20_000)),
    byteOffset: random.integer(0, 3) === 0 ? size() : 0,
    type: random.pick(weightTypes),
    rows: size(),
    cols: size(),
    interleavedHeads: random.pick([0, 0, 0, 1, 2, size()]),
  };
}

function packAndFree(addon: Addon, source: WeightSource): void {
  const weight = addon.packWeight([source], 0);
  addon.freeWeight(weight);
}

const templateWords = [
  '{{',
  '}}',
  '{%',
  '%}',
  '{#',
  '{% for i in range(1000000000) %}x{% endfor %}',
  '{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}',
  '{% set bos_token = bos_token ~ bos_token %}',
  '{% for i in messages %}',
  '{% endfor %}',
  '{% if true %}',
  '{% endif %}',
  '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}',
  '| tojson(indent=100000000)',
  '| trim',
  '| upper',
  '| join(bos_token)',
  '[0]',
  '[::-1]',
  '.constructor',
  '.__proto__',
  '()',
  'namespace(a=1)',
  'loop.index0',
  'not',
  ' in ',
  '((((((((',
  "'",
  '9999999999999999999999',
];
