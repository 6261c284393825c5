/** The conformance suite's test bench: the engine with its lid off. Only tests import it. */
import { asWinnowError, WinnowError } from '../core/errors.js';
import type {
  BenchOptions,
  BenchRequest,
  BenchResult,
  BenchRow,
  BenchSession,
  BenchSetting,
  BenchStep,
  CapturedLayer,
  ConformanceBench,
  OpenBench,
} from '../methods/conformance-bench.js';
import type { Method, Setting } from '../methods/contract.js';
import { benchStep, counted, sessionOf, stateHash, timedStep } from './bench-steps.js';
import { argmaxHost } from './core/choose.js';
import { type DeviceTensor, device as deviceOf } from './core/device.js';
import { expectedResidentBytes, residentBytes, stateBytes } from './core/footprint.js';
import { keptPositions, type Row } from './core/rows.js';
import { answerContext, type ModelContext, type OpenSample, openSample } from './core/sample.js';
import { type ResolvedSetting, resolveSetting } from './core/settings.js';
import { openLocal } from './local.js';

export const openBench: OpenBench = async (modelPath: string, options: BenchOptions): Promise<ConformanceBench> => {
  const calls = { count: 0 };
  const engine = openLocal(modelPath, {
    backend: options.backend ?? 'cpu',
    numerics: options.numerics,
    isa: 'auto',
    threads: options.threads ?? 0,
    prefillChunk: 1 << 20,
    resolveMethod: () => Promise.reject(new WinnowError('ERR_INTERNAL', 'bench', 'method objects', 'a reference')),
    cancelled: () => {},
    wrapAddon: (addon) => counted(addon, calls),
  });
  const { context } = engine;
  return {
    facts: context.facts,
    run: async (request) => {
      const facts = context.facts;
      const converts = (setting: BenchSetting): boolean =>
        setting.method.hooks(bareSetting(setting, request), facts).weights !== undefined;
      if (request.standAlone !== true && !request.settings.some(converts))
        return runTogether(context, calls, request, request.settings);
      const rows: BenchRow[] = [];
      for (const setting of request.settings) rows.push(...(await runTogether(context, calls, request, [setting])));
      return rows;
    },
    begin: async (request) => {
      const sessions: BenchSession[] = [];
      for (const setting of request.settings) sessions.push(await beginSession(context, calls, request, setting));
      return sessions;
    },
    peek: (tensor) => context.device.addon.download(deviceOf(tensor).id),
    memory: () => {
      const { tensorBytes, cacheBytes } = context.device.addon.memory();
      return { tensorBytes, cacheBytes };
    },
    close: async () => engine.close(),
  };
};

let methodCount = 0;
const methodIds = new WeakMap<Method, number>();

const resolve = (context: ModelContext, request: BenchRequest, setting: BenchSetting): ResolvedSetting => {
  let id = methodIds.get(setting.method);
  if (id === undefined) {
    id = methodCount++;
    methodIds.set(setting.method, id);
  }
  const bound = { method: setting.method, params: setting.params, identity: `${id}:${JSON.stringify(setting.params)}` };
  const budget =
    setting.tokenBudget === undefined
      ? { keptFraction: setting.keptFraction ?? 1 }
      : { tokenBudget: setting.tokenBudget };
  return resolveSetting(
    { key: setting.key, method: { id: setting.method.id, params: {} }, ...budget },
    bound,
    context.facts,
    request.protocol,
    request.contextIds.length,
  );
};

interface Watched {
  prefilled: string;
  compressedCache: string;
  compressedState: string;
  kept: Int32Array[][];
  captured: CapturedLayer[];
  capturedAfter: CapturedLayer[];
}

const contextFor = (context: ModelContext, request: BenchRequest): ModelContext => ({
  ...context,
  freshHooks: request.freshHooks ?? false,
  prefillChunk: request.prefillChunk ?? 1 << 20,
});

const open = async (
  context: ModelContext,
  request: BenchRequest,
  settings: readonly ResolvedSetting[],
  watched: Map<string, Watched>,
): Promise<OpenSample> => {
  const { device, shapes } = context;
  return openSample(
    contextFor(context, request),
    {
      prompt: { ...request, evidence: request.evidence ?? [] },
      protocol: request.protocol,
      sampleSeed: request.sampleSeed,
      maxNewTokens: request.maxNewTokens,
      standAlone: request.standAlone ?? false,
      watch: {
        prefilled(row, windowQueries) {
          watched.set(row.key, {
            prefilled: device.addon.cacheHash(row.cache),
            compressedCache: '',
            compressedState: '',
            kept: [],
            captured:
              request.capture === true
                ? shapes.map((_, layer) => captureLayer(context, row, layer, windowQueries[layer]))
                : [],
            capturedAfter: [],
          });
        },
        compressed(row, group) {
          const seen = watched.get(row.key)!;
          seen.compressedCache = device.addon.cacheHash(row.cache);
          seen.compressedState = stateHash(context, group, row);
          if (request.capture === true)
            seen.capturedAfter = shapes.map((_, layer) => captureLayer(context, row, layer, undefined));
          seen.kept = keptPositions(device, row, shapes);
        },
      },
    },
    settings,
  );
};

const captureLayer = (
  context: ModelContext,
  row: Row,
  layer: number,
  windowQueries: DeviceTensor | undefined,
): CapturedLayer =>
  context.device.scope(() => {
    const { addon } = context.device;
    return {
      keys: (addon.download(addon.cacheRead(row.cache, layer, 0)) as Float32Array).slice(),
      values: (addon.download(addon.cacheRead(row.cache, layer, 1)) as Float32Array).slice(),
      counts: (addon.download(addon.cacheRead(row.cache, layer, 3)) as Int32Array).slice(),
      ...(windowQueries === undefined
        ? {}
        : { windowQueries: (addon.download(windowQueries.id) as Float32Array).slice() }),
    };
  });

/** For facts that do not depend on the budget. */
const bareSetting = ({ params }: BenchSetting, { protocol, contextIds }: BenchRequest): Setting => ({
  params,
  protocol,
  budget: { tokens: contextIds.length, fraction: 1, contextTokens: contextIds.length, covers: 'context' },
});

const runTogether = async (
  base: ModelContext,
  calls: { count: number },
  request: BenchRequest,
  settings: readonly BenchSetting[],
): Promise<BenchRow[]> => {
  const watched = new Map<string, Watched>();
  const resolved: ResolvedSetting[] = [];
  const failures = new Map<string, WinnowError>();
  for (const setting of settings) {
    try {
      resolved.push(resolve(base, request, setting));
    } catch (thrown) {
      failures.set(setting.key, asWinnowError(thrown, setting.key));
    }
  }
  const context = resolved.length === 1 ? base.convert(resolved[0]!) : base;
  const { addon } = context.device;
  if (request.poison === true) addon.poisonFreedPages(1);
  const sample = await open(context, request, resolved, watched);
  const results = new Map<string, BenchResult>();
  try {
    for (const [key, error] of sample.failures) failures.set(key, error);
    let groups = [...sample.groups];
    const rows = groups.flatMap((group) => group.rows.map((row) => ({ row, group })));
    const books = new Map(
      rows.map(({ row }) => [
        row,
        { tokenIds: [] as number[], logits: [] as Float32Array[], steps: [] as BenchStep[], bytes: 0, expected: 0 },
      ]),
    );
    const feed = (tokensOf: (row: Row) => Int32Array, phase: 'question' | 'answer', step: number): void => {
      const members = groups.flatMap((group) => group.rows);
      if (members.length === 0) return;
      const { outcome, facts } = timedStep(
        phase === 'answer' ? answerContext(context) : context,
        calls,
        groups,
        members.map(tokensOf),
        phase,
        step,
        request.poison === true,
      );
      members.forEach((row, r) => {
        const book = books.get(row)!;
        book.logits.push(outcome.logits[r]!);
        book.steps.push(benchStep(outcome.rows[r]!, row, phase, tokensOf(row).length, facts));
      });
      for (const [group, error] of outcome.failures) for (const row of group.rows) failures.set(row.key, error);
      groups = groups.filter((group) => !outcome.failures.has(group));
    };
    if (request.protocol === 'query-aware' || request.questionIds.length === 0) {
      for (const { row } of rows) {
        const logits = sample.firstLogits.get(row.key);
        if (logits !== undefined) books.get(row)!.logits.push(logits);
      }
    } else feed(() => request.questionIds, 'question', 0);
    for (const { row, group } of rows) {
      const book = books.get(row)!;
      book.bytes = residentBytes(context, group, row);
      book.expected = expectedResidentBytes(context, group, row);
    }
    for (let i = 0; i < request.maxNewTokens && groups.length > 0; i++) {
      for (const group of groups)
        for (const row of group.rows) books.get(row)!.tokenIds.push(argmaxHost(books.get(row)!.logits.at(-1)!));
      if (i + 1 < request.maxNewTokens)
        feed((row) => Int32Array.of(request.forcedTokens?.[i] ?? books.get(row)!.tokenIds.at(-1)!), 'answer', i + 1);
    }
    for (const { row, group } of rows) {
      if (failures.has(row.key)) continue;
      const book = books.get(row)!;
      const seen = watched.get(row.key)!;
      const density = sample.density.get(row.key)!;
      results.set(row.key, {
        tokenIds: book.tokenIds,
        logits: book.logits,
        kept: seen.kept,
        hashes: {
          prefilled: seen.prefilled,
          compressedCache: seen.compressedCache,
          compressedState: seen.compressedState,
          endCache: addon.cacheHash(row.cache),
          endState: stateHash(context, group, row),
        },
        kvCacheBytes: book.bytes,
        expectedKvCacheBytes: book.expected,
        kvCacheBytesEnd: residentBytes(context, group, row),
        expectedKvCacheBytesEnd: expectedResidentBytes(context, group, row),
        stateBytes: stateBytes(context, group, row),
        prefillPairs: density.pairs,
        causalPairs: density.causalPairs,
        steps: book.steps,
        ...(request.capture === true ? { captured: seen.captured, capturedAfter: seen.capturedAfter } : {}),
      });
    }
  } finally {
    sample.close();
    if (request.poison === true) addon.poisonFreedPages(0);
  }
  return settings.map((setting): BenchRow => {
    const result = results.get(setting.key);
    if (result !== undefined) return { key: setting.key, status: 'ok', ...result };
    return failedRow(setting.key, failures.get(setting.key)!);
  });
};

const failedRow = (key: string, error: WinnowError): BenchRow => ({
  key,
  status: error.code === 'ERR_UNSUPPORTED' || error.code === 'ERR_BUDGET' ? 'unsupported' : 'failed',
  error: { code: error.code, message: error.message },
});

const beginSession = async (
  base: ModelContext,
  calls: { count: number },
  request: BenchRequest,
  setting: BenchSetting,
): Promise<BenchSession> => {
  const resolved = resolve(base, request, setting);
  const context = base.convert(resolved);
  const sample = await open(context, { ...request, standAlone: true }, [resolved], new Map());
  for (const error of sample.failures.values()) throw error;
  const own = contextFor(context, request);
  const session = sessionOf(answerContext(own), calls, sample.groups[0]!, () => sample.close(), request);
  if (request.protocol === 'query-agnostic' && request.questionIds.length > 0)
    timedStep(own, calls, sample.groups, [request.questionIds], 'question', 0, false);
  return session;
};
