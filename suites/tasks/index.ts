import type { Task } from '../contract.js';
import { cwe } from './cwe.js';
import { fwe } from './fwe.js';
import { KEY_VALUE_TASKS } from './key-values.js';
import { NIAH_TASKS } from './niah.js';
import { ROOM_FACTS_TASKS } from './room-facts.js';
import { twoHopQa } from './two-hop-qa.js';
import { vt } from './vt.js';
import { WORLD_TASKS } from './world-qa.js';

/** All tasks: one import and one line each. Parameters differ between tasks, so a task is run with what its own `parse` returned. */
const TASKS = [
  ...NIAH_TASKS,
  vt,
  cwe,
  fwe,
  ...KEY_VALUE_TASKS,
  ...ROOM_FACTS_TASKS,
  ...WORLD_TASKS,
  twoHopQa,
] as unknown as readonly Task[];

export const tasks = (): readonly Task[] => TASKS;
export const taskIds = (): readonly string[] => TASKS.map(({ id }) => id);
export const findTask = (id: string): Task | undefined => TASKS.find((task) => task.id === id);
