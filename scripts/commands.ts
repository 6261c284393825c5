import type { Command } from './command.js';
import { bench } from './commands/bench.js';
import { cache } from './commands/cache.js';
import { compare } from './commands/compare.js';
import { datasets } from './commands/datasets.js';
import { doctor } from './commands/doctor.js';
import { gate } from './commands/gate.js';
import { generate } from './commands/generate.js';
import { init } from './commands/init.js';
import { list } from './commands/list.js';
import { logits } from './commands/logits.js';
import { logprobs } from './commands/logprobs.js';
import { merge } from './commands/merge.js';
import { models } from './commands/models.js';
import { perplexity } from './commands/perplexity.js';
import { plan } from './commands/plan.js';
import { profile } from './commands/profile.js';
import { publish } from './commands/publish.js';
import { report } from './commands/report.js';
import { rerun } from './commands/rerun.js';
import { retrieval } from './commands/retrieval.js';
import { run } from './commands/run.js';
import { score } from './commands/score.js';
import { scoreFile } from './commands/score-file.js';
import { status } from './commands/status.js';
import { verify } from './commands/verify.js';

/** Every command there is, in the order of the help. Command files are light: what they need is imported when they run. */
export const commands: readonly Command[] = [
  run,
  plan,
  report,
  verify,
  rerun,
  status,
  score,
  merge,
  publish,
  cache,
  retrieval,
  compare,
  gate,
  init,
  list,
  models,
  datasets,
  generate,
  logits,
  logprobs,
  perplexity,
  scoreFile,
  bench,
  profile,
  doctor,
];
