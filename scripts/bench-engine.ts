import { median } from '../core/statistics.js';
import type { Engine, SampleRequest, SettingRequest } from '../engine/contract.js';
import { alone, type BenchRow } from './bench-rows.js';

const ROUNDS = 5;
const NEW_TOKENS = 16;

export interface EngineBench {
  readonly engine: Engine;
  readonly signal: AbortSignal;
  /** Opens the model once more, for the time that takes. */
  reopen(): Promise<Engine>;
}

/** Running text of about so many tokens; the words hardly matter to the time. */
const textOf = (tokens: number): string => {
  const sentence = 'The river had risen in the night and the ferry stayed on the far bank until noon. ';
  return sentence.repeat(Math.ceil(tokens / 18)).slice(0, Math.ceil(tokens * 4.6));
};

const requestOf = (tokens: number, settings: readonly SettingRequest[]): SampleRequest => ({
  sampleId: 'bench',
  seed: 1,
  prompt: {
    context: textOf(tokens),
    question: 'Where did the ferry stay?',
    answerPrefix: '',
    documents: [],
    evidence: [],
    chatTemplate: true,
  },
  protocol: 'query-aware',
  settings,
  maxNewTokens: NEW_TOKENS,
  stop: [],
  traceKept: false,
});

const dense: SettingRequest = { key: 'dense', method: { id: 'dense', params: {} } };

export async function* benchPrefill({ engine, signal }: EngineBench): AsyncGenerator<BenchRow> {
  for (const length of [1024, 4096]) {
    const { settings: _, traceKept: __, ...request } = requestOf(length, [dense]);
    const tokens = await promptTokens(engine, length);
    const times = await repeat(async () => (await engine.time({ ...request, setting: dense }, signal)).prefillMs);
    const rate = { value: (tokens / median(times)) * 1e3, unit: 'tokens/s' };
    yield alone({ name: 'prefill', isa: engine.machine.isa, shape: `${tokens} tokens` }, median(times), ROUNDS, rate);
  }
}

export async function* benchDecode({ engine, signal }: EngineBench): AsyncGenerator<BenchRow> {
  for (const length of [1024, 4096]) {
    const { settings: _, traceKept: __, ...request } = requestOf(length, [dense]);
    const tokens = await promptTokens(engine, length);
    const times = await repeat(
      async () => (await engine.time({ ...request, setting: dense }, signal)).decodeMsPerToken,
    );
    const rate = { value: 1e3 / median(times), unit: 'tokens/s' };
    yield alone(
      { name: 'decode', isa: engine.machine.isa, shape: `after ${tokens} tokens` },
      median(times),
      ROUNDS,
      rate,
    );
  }
}

/** Twelve settings of one sample together, in dense runs of the same sample. Interleaved, so that drift touches both. */
export async function* benchMatrix({ engine, signal }: EngineBench): AsyncGenerator<BenchRow> {
  const settings = matrixSettings();
  for (const length of [1024, 4096]) {
    const [denseMs, oursMs]: [number[], number[]] = [[], []];
    for (let round = 0; round <= ROUNDS; round++) {
      const denseAlone = await wallMs(() => engine.evaluate(requestOf(length, [dense]), signal));
      const together = await wallMs(() => engine.evaluate(requestOf(length, settings), signal));
      if (round === 0) continue;
      denseMs.push(denseAlone);
      oursMs.push(together);
    }
    const cost = median(oursMs.map((ms, i) => ms / denseMs[i]!));
    const shape = `${settings.length} settings, ${length} tokens`;
    const rate = { value: cost, unit: 'dense runs' };
    yield alone({ name: 'matrix', isa: engine.machine.isa, shape }, median(oursMs), ROUNDS, rate);
  }
}

export async function* benchLoad({ engine, reopen }: EngineBench): AsyncGenerator<BenchRow> {
  const times = await repeat(async () => {
    const start = performance.now();
    const again = await reopen();
    const took = performance.now() - start;
    await again.close();
    return took;
  });
  const rate = { value: 1e3 / median(times), unit: 'loads/s' };
  yield alone({ name: 'load', isa: engine.machine.isa, shape: engine.facts.id }, median(times), ROUNDS, rate);
}

const matrixSettings = (): SettingRequest[] => {
  const at = (id: string, keptFraction: number, params: Record<string, unknown> = {}): SettingRequest => ({
    key: `${id}@${keptFraction}${JSON.stringify(params)}`,
    method: { id, params },
    keptFraction,
  });
  const ids = ['random', 'streaming-llm', 'snapkv', 'tova', 'knorm'];
  return [dense, ...ids.flatMap((id) => [at(id, 0.5), at(id, 0.25)]), at('quest', 0.25)];
};

const promptTokens = async (engine: Engine, length: number): Promise<number> => {
  const { outcomes } = await engine.evaluate({ ...requestOf(length, [dense]), maxNewTokens: 1 });
  const [outcome] = outcomes;
  return outcome?.status === 'ok' ? outcome.promptTokens : length;
};

const wallMs = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

/** One round to warm up, then the measured ones. */
const repeat = async (measure: () => Promise<number>): Promise<number[]> => {
  await measure();
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await measure());
  return times;
};
