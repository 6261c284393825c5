/** `npm run bench:peers`: installs pinned peers, measures Winnow beside them, and writes docs/performance.md when asked. */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { asWinnowError } from '../core/errors.js';
import { collectProvenance } from '../results/provenance.js';
import { type BenchRow, benchColumns, benchHeads } from './bench-rows.js';
import { alignColumns } from './columns.js';
import { defineCommand } from './command.js';
import { readCommandLine } from './command-line.js';
import { engineFlags } from './engine-flags.js';
import { choices, flag, json, text, whole } from './flags.js';
import { replaceSection } from './method-table.js';
import { findOrPullModel } from './open-model.js';
import { findPeers, installPeers, peerNames } from './peers/install.js';
import { performanceTables, storedRows, storeRow } from './peers/results.js';
import { peerRows, peerRowsNames } from './peers/rows.js';
import { openWorkbench } from './peers/workbench.js';
import { openTerminal } from './terminal.js';

const { isa, threads } = engineFlags;

const benchPeers = defineCommand({
  name: 'peers',
  summary: 'Measure Winnow beside other engines on this machine, in interleaved rounds.',
  positionals: {},
  required: 0,
  flags: {
    only: choices('Peers to install and measure. Default: all.', peerNames),
    rows: choices('What to measure. Default: all, about 20 minutes on two cores.', peerRowsNames),
    rounds: whole('Interleaved rounds of a row. Default 9; rows beside kvpress take fewer.', 'N', 1),
    noInstall: flag('Take the peers that are there; the others are absent.'),
    write: flag('Then write the table of docs/performance.md from everything measured so far.'),
    model: text('The model. Default: the default model; peers need one of the Llama family.', 'M'),
    isa,
    threads,
    json,
  },
  examples: [
    ['npm run bench:peers -- --only torch --rows prefill,gemm', 'some rows; the others keep what was measured before'],
    ['npm run bench:peers -- --no-install --write', 'everything, into docs/performance.md'],
  ],
  async run(values, terminal) {
    const wanted = values.only ?? peerNames;
    const found = values.noInstall ? findPeers() : await installPeers(wanted, terminal.note);
    const left = Object.fromEntries(
      peerNames.filter((name) => !wanted.includes(name)).map((name) => [name, 'not asked for']),
    );
    const peers = { ...found, absent: { ...found.absent, ...left } };
    for (const [name, reason] of Object.entries(peers.absent)) terminal.note(`absent: ${name}: ${reason}`);
    const { path } = await findOrPullModel(values.model, terminal);
    const { code, machine } = collectProvenance();
    const stamp = {
      date: new Date().toISOString().slice(0, 10),
      machine: `${machine.cpu}, ${machine.cores} cores`,
      commit: `${(code.commit ?? 'unknown').slice(0, 7)}${code.dirty === true ? ' with changes' : ''}`,
    };
    const bench = openWorkbench({
      modelPath: path,
      peers,
      threads: values.threads ?? os.availableParallelism(),
      isa: values.isa ?? 'auto',
      rounds: values.rounds ?? 9,
      signal: terminal.signal,
      note: terminal.note,
    });
    const rows: BenchRow[] = [];
    try {
      for (const name of values.rows ?? peerRowsNames) {
        for await (const row of peerRows[name](bench)) {
          await setImmediate();
          terminal.signal.throwIfAborted();
          rows.push(row);
          storeRow({ ...row, ...stamp });
          terminal.note(benchColumns(row).join('  '));
        }
      }
    } finally {
      bench.close();
    }
    if (values.write) {
      const document = new URL('../docs/performance.md', import.meta.url);
      const tables = performanceTables(storedRows(), rowOrder);
      writeFileSync(document, replaceSection(readFileSync(document, 'utf8'), 'performance', tables));
    }
    if (values.json) terminal.printJson(rows);
    else terminal.print(alignColumns([benchHeads, ...rows.map(benchColumns)]));
    return 0;
  },
});

/** Names of rows as they stand in the table. */
const rowOrder = [
  'prefill',
  'prefill-reference',
  'first-token-reference',
  'attention-prefill',
  'gemm',
  'decode',
  'decode-batch',
  'matrix',
  'load',
  'memory',
  'overhead',
  'busy-core',
];

const terminal = openTerminal(process.argv.includes('--verbose'));
try {
  const invocation = await readCommandLine(['peers', ...process.argv.slice(2)], [benchPeers], '');
  if (invocation.kind === 'text') terminal.print(invocation.text);
  else process.exitCode = await invocation.command.run(invocation.values, terminal);
} catch (thrown) {
  const interrupted = terminal.signal.aborted;
  const error = asWinnowError(thrown, 'bench:peers');
  terminal.note(interrupted ? '[ERR_INTERRUPTED] bench:peers: what was measured is kept.' : error.message);
  process.exitCode = interrupted ? 130 : error.exitCode;
} finally {
  terminal.close();
}
