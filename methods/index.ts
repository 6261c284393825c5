/** All built-in methods: one import and one line each. */
import { WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import { kivi } from './cache/kivi.js';
import { knorm } from './cache/knorm.js';
import { snapkv } from './cache/snapkv.js';
import { streamingLlm } from './cache/streaming-llm.js';
import { tova } from './cache/tova.js';
import { snapkvQuestKivi } from './composed/snapkv-quest-kivi.js';
import type { Method } from './contract.js';
import { dense } from './control/dense.js';
import { oracle } from './control/oracle.js';
import { oracleTopK } from './control/oracle-top-k.js';
import { random } from './control/random.js';
import { quest } from './decode/quest.js';
import { sinkWindowPrefill } from './prefill/sink-window.js';
import { bm25TopK } from './prompt/bm25-top-k.js';
import { denseRetrievalTopK } from './prompt/dense-retrieval-top-k.js';

export const methods: readonly Method[] = [
  dense,
  random,
  oracle,
  oracleTopK,
  streamingLlm,
  knorm,
  snapkv,
  tova,
  kivi,
  quest,
  sinkWindowPrefill,
  bm25TopK,
  denseRetrievalTopK,
  snapkvQuestKivi,
];

/** The built-in method of this id; an unknown one is ERR_USAGE with the nearest name. */
export const findMethod = (id: string): Method => {
  const found = methods.find((method) => method.id === id);
  if (found !== undefined) return found;
  const names = methods.map((method) => method.id);
  throw new WinnowError(
    'ERR_USAGE',
    'method',
    'a known method, ids joined by +, or a path ./file.ts',
    id,
    suggestName(id, names),
  );
};
