import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineCommand } from '../command.js';
import { json } from '../flags.js';
import type { MachineCheck } from '../machine-checks.js';

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'Show what this machine can do and what to change.',
  positionals: {},
  required: 0,
  flags: { json },
  examples: [['$0 doctor', 'Node, native addon, memory, disk, model and fonts']],
  async run({ json: asJson }, terminal) {
    const here = await import('../machine-checks.js');
    const { cacheFolder } = await import('../../engine/models-cache.js');
    const runs = fileURLToPath(new URL('../../results/runs', import.meta.url));
    const checks: MachineCheck[] = [
      here.checkNode(),
      here.checkCores(),
      await checkAddon(),
      await here.checkMemory(),
      await here.checkFolder('results folder', runs),
      await here.checkFolder('cache folder', path.join(cacheFolder(), 'models')),
      await checkModel(),
      await here.checkFonts(),
    ];
    const isFine = checks.every(({ state }) => state !== 'problem');
    if (asJson) terminal.printJson({ ok: isFine, checks });
    else terminal.print(await asText(checks));
    return isFine ? 0 : 3;
  },
});

const checkAddon = async (): Promise<MachineCheck> => {
  const { loadAddon } = await import('../../native/index.js');
  try {
    const { isas, cores } = loadAddon().cpuFacts();
    return { name: 'native addon', state: 'ok', found: `loads; instruction sets ${isas.join(', ')}; ${cores} threads` };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return { name: 'native addon', state: 'problem', found, advice: 'Run: node native/build.mjs' };
  }
};

const checkModel = async (): Promise<MachineCheck> => {
  const { defaultModelId, findModel } = await import('../../engine/models.js');
  const model = await findModel(defaultModelId);
  if (model !== undefined) return { name: 'default model', state: 'ok', found: `${model.id} at ${model.path}` };
  const advice = 'Run: winnow models pull (98 MB). A run fetches it as well.';
  return { name: 'default model', state: 'warning', found: `${defaultModelId} is not in the cache`, advice };
};

const marks = { ok: 'ok', warning: 'note', problem: 'FIX' } as const;

const asText = async (checks: readonly MachineCheck[]): Promise<string> => {
  const { alignColumns } = await import('../columns.js');
  return alignColumns(
    checks.flatMap(({ name, state, found, advice }) => [
      [marks[state], name, found],
      ...(advice === undefined ? [] : [['', '', advice]]),
    ]),
  );
};
