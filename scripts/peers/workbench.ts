import { fileURLToPath } from 'node:url';
import { median } from '../../core/statistics.js';
import type { IsaName, NumericsName, SampleRequest } from '../../engine/contract.js';
import { alone, type BenchRow } from '../bench-rows.js';
import { type Comparison, compare, type Measure } from './compare.js';
import { exportModel, type PeerName, type Peers } from './install.js';
import { type PeerProcess, startPeer } from './peer-process.js';

export interface WorkbenchOptions {
  readonly modelPath: string;
  readonly peers: Peers;
  readonly threads: number;
  readonly isa: IsaName;
  /** Rounds of a row that takes seconds; slow rows take fewer turns and say so. */
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** Our engine in a process of its own, with a model loaded. */
export interface Ours extends PeerProcess {
  readonly isa: string;
  readonly loadMs: number;
  readonly weightBytes: number;
  readonly vocabSize: number;
}

/** The processes of one comparison, started when a row first needs them and kept warm. */
export interface Workbench extends WorkbenchOptions {
  ours(numerics?: NumericsName, threads?: number): Promise<Ours>;
  /** Ours in a process that did nothing before. */
  fresh(): Promise<Ours>;
  torch(): Promise<PeerProcess>;
  kvpress(): Promise<PeerProcess>;
  has(peer: PeerName): boolean;
  /** A row beside a peer, or ours alone when the peer is absent. */
  row(comparison: Omit<Comparison, 'peer'> & { readonly peer: PeerSide }): Promise<BenchRow>;
  close(): void;
}

export interface PeerSide {
  readonly needs: PeerName;
  readonly name: string;
  readonly measure: Measure;
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const openWorkbench = (options: WorkbenchOptions): Workbench => {
  const { peers, threads, signal, note } = options;
  const started: PeerProcess[] = [];
  const begin = (name: string, command: readonly string[]): PeerProcess => {
    const peer = startPeer(name, command, signal);
    started.push(peer);
    return peer;
  };
  const once = new Map<string, Promise<PeerProcess>>();
  const warm = <T extends PeerProcess>(key: string, open: () => Promise<T>): Promise<T> => {
    let peer = once.get(key) as Promise<T> | undefined;
    if (peer === undefined) {
      peer = open();
      once.set(key, peer);
    }
    return peer;
  };
  const python = async (name: string, file: string): Promise<PeerProcess> => {
    await exportModel(peers, options.modelPath, note);
    return begin(name, [peers.python, script(file), `${threads}`]);
  };
  const openOurs = async (numerics: NumericsName, count: number): Promise<Ours> => {
    const ours = begin('winnow', [process.execPath, '--import', import.meta.resolve('tsx'), script('winnow-peer.ts')]);
    const request = { path: options.modelPath, numerics, threads: count, isa: options.isa };
    const { ms, ...facts } = await ours.ask<{ ms: number; isa: string; weightBytes: number; vocabSize: number }>(
      'load',
      request,
    );
    return { ...ours, ...facts, loadMs: ms };
  };

  return {
    ...options,
    ours: (numerics = 'native', count = threads) => warm(`ours ${numerics} ${count}`, () => openOurs(numerics, count)),
    fresh: () => openOurs('native', threads),
    torch: () =>
      warm('torch', async () => {
        const torch = await python('torch', 'torch_peer.py');
        for (const dtype of ['bf16', 'f32']) await torch.ask('load', { folder: peers.modelFolder, dtype });
        return torch;
      }),
    // A process of its own: importing kvpress replaces attention functions of transformers.
    kvpress: () =>
      warm('kvpress', async () => {
        const kvpress = await python('kvpress', 'kvpress_peer.py');
        await kvpress.ask('load', { folder: peers.modelFolder, dtype: 'bfloat16' });
        const short = { context_ids: ids(256), question_ids: ids(8), settings: [null, ['snapkv', 0.5]], new_tokens: 2 };
        await kvpress.ask('matrix', short);
        return kvpress;
      }),
    has: (peer) => peers.absent[peer] === undefined,
    async row({ peer, ...rest }) {
      if (peers.absent[peer.needs] === undefined) return compare({ ...rest, peer }, signal);
      const times: number[] = [];
      for (let turn = 0; turn <= rest.turns; turn++) {
        signal.throwIfAborted();
        const measured = await rest.ours();
        if (turn > 0 || rest.isWarm === true) times.push(...(typeof measured === 'number' ? [measured] : measured));
      }
      return alone(rest, median(times), times.length, rest.rate(median(times)));
    },
    close: () => {
      for (const peer of started) peer.close();
    },
  };
};

export const ids = (count: number): number[] => Array.from({ length: count }, (_, i) => 1000 + ((i * 7919) % 30_000));

export const tokensPerSecond =
  (tokens: number) =>
  (ms: number): BenchRow['rate'] => ({ value: (tokens / ms) * 1e3, unit: 'tokens/s' });

export const msOf = async (answer: Promise<{ readonly ms: number }>): Promise<number> => (await answer).ms;

const sentence = 'The river had risen in the night and the ferry stayed on the far bank until noon. ';

/** One sample of about so many tokens whose answer is read for its time only. */
export const sampleOf = (tokens: number, settings: SampleRequest['settings'], newTokens: number): SampleRequest => ({
  sampleId: 'peers',
  seed: 1,
  prompt: {
    context: sentence.repeat(Math.ceil(tokens / 18)),
    question: 'Tell the whole story of the ferry in many words.',
    answerPrefix: '',
    documents: [],
    evidence: [],
    chatTemplate: true,
  },
  protocol: 'query-agnostic',
  settings,
  maxNewTokens: newTokens,
  stop: [],
  traceKept: false,
});
