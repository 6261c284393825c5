/** The native backends behind one interface: which addon serves, and what it was told. */
import { WinnowError } from '../core/errors.js';
import type { Addon } from '../native/addon-types.js';
import { loadCudaAddon } from '../native/cuda-addon.js';
import { loadAddon } from '../native/index.js';
import type { Engine, OpenOptions } from './contract.js';

export interface Backend {
  readonly addon: Addon;
  /** Serves encoders, which run on the host whatever the model runs on. */
  readonly host: Addon;
  readonly machine: Engine['machine'];
}

/** Loads and configures the backend. Throws: ERR_UNSUPPORTED for what it does not have, ERR_NATIVE_LOAD. */
export const openBackend = (options: OpenOptions, wrapAddon: (addon: Addon) => Addon): Backend =>
  options.backend === 'cuda' ? openCuda(options, wrapAddon) : openCpu(options, wrapAddon);

const openCpu = ({ isa: asked, numerics, threads: wanted }: OpenOptions, wrap: (addon: Addon) => Addon): Backend => {
  const host = loadAddon();
  const addon = wrap(host);
  const facts = addon.cpuFacts();
  const isa = asked === 'auto' ? facts.isas[0]! : asked;
  if (!facts.isas.includes(isa)) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'isa',
      `one that this machine has (${facts.isas.join(', ')})`,
      isa,
      'Use --isa auto.',
    );
  }
  const threads = wanted > 0 ? wanted : facts.cores;
  return { addon, host, machine: { isa, threads, activations: addon.configure(isa, numerics, threads) } };
};

const openCuda = ({ isa, numerics, threads: wanted }: OpenOptions, wrap: (addon: Addon) => Addon): Backend => {
  if (isa !== 'auto') {
    throw new WinnowError('ERR_UNSUPPORTED', 'isa', 'auto with the cuda backend', isa, 'Drop --isa.');
  }
  if (numerics !== 'native') {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'numerics',
      'native with the cuda backend',
      numerics,
      'Reference numerics are computed by --backend cpu.',
    );
  }
  const host = loadAddon();
  const addon = wrap(loadCudaAddon());
  const threads = wanted > 0 ? wanted : host.cpuFacts().cores;
  const activations = addon.configure('scalar', numerics, threads);
  const device = addon.deviceFacts?.();
  return {
    addon,
    host,
    machine: { isa: device?.architecture ?? 'cuda', threads, activations, ...(device === undefined ? {} : { device }) },
  };
};
