import { WinnowError } from '../core/errors.js';
import type { Engine } from '../engine/contract.js';
import type { DownloadProgress } from '../engine/download.js';
import { DEVICE_PREFILL_CHUNK, defaultOpenOptions, openEngine } from '../engine/index.js';
import { defaultModelId, manifestTerms, type ResolvedModel, resolveModel } from '../engine/models.js';
import { acceptLicences } from '../engine/models-licence.js';
import type { Values } from './command.js';
import type { engineFlags } from './engine-flags.js';
import type { Terminal } from './terminal.js';

/** Finds the model, fetching it if need be, with progress on stderr; `accepted` are licences. Ctrl-C ends it with ERR_INTERRUPTED. */
export const findOrPullModel = async (
  ref: string | undefined,
  terminal: Terminal,
  accepted: readonly string[] = [],
): Promise<ResolvedModel> => {
  acceptLicences(accepted, manifestTerms);
  return pulling(terminal, (progress) => resolveModel(ref ?? defaultModelId, progress));
};

/** A download with progress on stderr; Ctrl-C ends it with ERR_INTERRUPTED. */
export const pulling = async <T>(
  terminal: Terminal,
  pull: (progress: (at: DownloadProgress) => void) => Promise<T>,
): Promise<T> => {
  try {
    return await pull(pullProgress(terminal));
  } catch (error) {
    // Helpers of a download die of the same Ctrl-C; what they say about it is not the reason.
    throw terminal.signal.aborted ? interrupted() : error;
  }
};

const interrupted = (): WinnowError =>
  new WinnowError(
    'ERR_INTERRUPTED',
    'fetching the model',
    'to finish',
    'an interrupt',
    'The same command starts it again.',
  );

export type EngineValues = Values<typeof engineFlags>;

export const openOptionsOf = (values: EngineValues) => ({
  ...defaultOpenOptions,
  ...(values.backend === undefined ? {} : { backend: values.backend }),
  ...(values.backend === 'cuda' ? { prefillChunk: DEVICE_PREFILL_CHUNK } : {}),
  ...(values.numerics === undefined ? {} : { numerics: values.numerics }),
  ...(values.isa === undefined ? {} : { isa: values.isa }),
  ...(values.threads === undefined ? {} : { threads: values.threads }),
});

/** An open engine on the model that `--model` names; the caller closes it. */
export const openModel = async (
  values: EngineValues & { readonly model: string | undefined },
  terminal: Terminal,
): Promise<{ engine: Engine; model: ResolvedModel }> => {
  const model = await findOrPullModel(values.model, terminal, values.acceptLicence);
  const started = performance.now();
  const engine = await openEngine(model.path, openOptionsOf(values), { id: model.id, sha256: model.sha256 });
  const openMs = performance.now() - started;
  if (terminal.verbose) {
    const { isa, threads, activations, device } = engine.machine;
    const where = device === undefined ? isa : `${device.name} (${isa}, driver ${device.driver})`;
    const opened = `opened in ${(openMs / 1000).toFixed(2)} s, ${(process.memoryUsage.rss() / MEGABYTE).toFixed(0)} MB resident`;
    terminal.note(`${model.id} on ${where}, ${threads} threads, ${activations} activations; ${opened}`);
  }
  return { engine, model };
};

const MEGABYTE = 1e6;

/** A line at the start of each source and at every tenth of the file: readable on a terminal and in a log. */
export const pullProgress = (terminal: Terminal): ((progress: DownloadProgress) => void) => {
  let told = '';
  return ({ source, receivedBytes, totalBytes }) => {
    if (terminal.signal.aborted) throw interrupted();
    // Of a file whose size nobody knows, a line at every 10 MB.
    const tenths = Math.floor((10 * receivedBytes) / (totalBytes === 0 ? 100 * MEGABYTE : totalBytes));
    const now = `${source} ${tenths}`;
    if (now === told) return;
    told = now;
    const whole = totalBytes === 0 ? '' : ` of ${(totalBytes / MEGABYTE).toFixed(0)}`;
    const size = `${(receivedBytes / MEGABYTE).toFixed(0)}${whole} MB`;
    terminal.note(`Fetching from ${source}: ${size}`);
  };
};
