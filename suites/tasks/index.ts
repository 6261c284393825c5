import type { Task } from '../contract.js';
import { mqar } from './associative-recall.js';
import { BABILONG_TASKS } from './babilong.js';
import { copying } from './copying.js';
import { counterfactual } from './counterfactual.js';
import { cwe } from './cwe.js';
import { DIALOGUE_TASKS } from './dialogues.js';
import { entityBinding } from './entity-binding.js';
import { fwe } from './fwe.js';
import { grammar } from './grammar.js';
import { hashHop } from './hash-hop.js';
import { keyFacts } from './key-facts.js';
import { KEY_VALUE_TURN_TASKS } from './key-value-turns.js';
import { KEY_VALUE_TASKS } from './key-values.js';
import { listRecall } from './list-recall.js';
import { listTransformation } from './list-transformation.js';
import { LONG_SETS } from './long-sets.js';
import { MULTI_HOP_SETS } from './multi-hop-sets.js';
import { multiHopRag } from './multihop-rag.js';
import { needleGrid } from './needle-grid.js';
import { NIAH_TASKS } from './niah.js';
import { nqMultidoc } from './nq-multidoc.js';
import { HIDDEN_NUMBER_TASKS } from './passkey.js';
import { recipeSteps } from './recipe-steps.js';
import { registerTracking } from './register-tracking.js';
import { ROOM_FACTS_TASKS } from './room-facts.js';
import { RULER_QA_TASKS } from './ruler-qa.js';
import { twoHopQa } from './two-hop-qa.js';
import { vt } from './vt.js';
import { worldConstraints } from './world-constraints.js';
import { GLOBAL_TASKS } from './world-global.js';
import { WORLD_TASKS } from './world-qa.js';
import { worldTurns } from './world-turns.js';

/** All tasks: one import and one line each. Parameters differ between tasks, so a task is run with what its own `parse` returned. */
const TASKS = [
  ...NIAH_TASKS,
  vt,
  cwe,
  fwe,
  needleGrid,
  ...HIDDEN_NUMBER_TASKS,
  ...KEY_VALUE_TASKS,
  ...KEY_VALUE_TURN_TASKS,
  hashHop,
  mqar,
  entityBinding,
  grammar,
  copying,
  listRecall,
  registerTracking,
  listTransformation,
  recipeSteps,
  ...ROOM_FACTS_TASKS,
  ...WORLD_TASKS,
  worldTurns,
  ...GLOBAL_TASKS,
  worldConstraints,
  counterfactual,
  keyFacts,
  ...DIALOGUE_TASKS,
  twoHopQa,
  ...LONG_SETS,
  ...RULER_QA_TASKS,
  ...MULTI_HOP_SETS,
  multiHopRag,
  nqMultidoc,
  ...BABILONG_TASKS,
] as unknown as readonly Task[];

export const tasks = (): readonly Task[] => TASKS;
/** Tasks whose samples, by default, are the same whatever was pulled. */
export const generatedTasks = (): readonly Task[] =>
  TASKS.filter(({ datasets, datasetsOf, defaults }) => {
    const { needed, wanted } = datasetsOf?.(defaults) ?? {};
    return datasets === undefined && needed === undefined && wanted === undefined;
  });
export const taskIds = (): readonly string[] => TASKS.map(({ id }) => id);
export const findTask = (id: string): Task | undefined => TASKS.find((task) => task.id === id);
