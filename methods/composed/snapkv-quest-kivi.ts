import { kivi } from '../cache/kivi.js';
import { snapkv } from '../cache/snapkv.js';
import { composeMethods } from '../compose.js';
import { quest } from '../decode/quest.js';

/**
 * SnapKV + Quest + KIVI: SnapKV keeps the budget's tokens, Quest reads half of the survivors' pages at each step, KIVI packs the older ones.
 *
 * Cost and state are those of the parts. Throws: what the parts throw.
 */
export const snapkvQuestKivi = composeMethods([
  { method: snapkv },
  { method: quest },
  { method: kivi, params: { bits: 4 } },
]);
