import type { BackendName, IsaName, NumericsName } from '../engine/contract.js';
import { choice, names, whole } from './flags.js';

const backends = ['cpu', 'cuda', 'ort'] as const satisfies readonly BackendName[];
const numerics = ['native', 'reference'] as const satisfies readonly NumericsName[];
const isas = ['auto', 'amx', 'avx512bf16', 'avx512', 'avx2', 'scalar'] as const satisfies readonly IsaName[];

/** Models of the manifest whose licence a person has to accept are fetched and used only then; once is enough. */
export const licenceFlag = {
  acceptLicence: names("Accept a model's licence, after reading it; remembered in the cache folder.", 'ID'),
} as const;

/** How the engine computes: the flags of every command that opens a model. */
export const engineFlags = {
  numerics: choice(
    'native: fastest on this machine; reference: f32, the same bits everywhere. Default native.',
    numerics,
  ),
  isa: choice('Instruction set of the CPU backend. Default auto: the best this machine has.', isas),
  backend: choice(
    'Where the operations run; ort: the whole decoder in ONNX Runtime, dense attention only. Default cpu.',
    backends,
  ),
  threads: whole('Threads of the CPU backend. Default: all cores.', 'N', 1),
  ...licenceFlag,
} as const;
