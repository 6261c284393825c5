import { addCounts, type PartialCounts } from './run-record.js';
import { openJournal } from './sample-journal.js';
import type { RunCounts, SampleRecord } from './schema.js';

export type SamplesByCell = Readonly<Record<string, readonly SampleRecord[]>>;

/** Samples of cells that are not finished and the counts of the run so far, both as the journal on disk has them. */
export interface PendingSamples {
  readonly counts: RunCounts;
  of(cellId: string): SampleRecord[];
  sampleOf(cellId: string, sampleId: string): SampleRecord | undefined;
  append(samples: SamplesByCell, counts?: PartialCounts): void;
  /** The cell is finished: its samples have a file of their own now. */
  forget(cellId: string): void;
  /** Removes the journal when nothing waits in it, and keeps it otherwise. */
  close(): void;
}

/** `settled` are the counts of run.json. A journal begins with the counts that were settled when it was started, so it is read instead of them. */
export const openPendingSamples = (path: string, finished: ReadonlySet<string>, settled: RunCounts): PendingSamples => {
  const journal = openJournal(path);
  const byCell = new Map<string, Map<string, SampleRecord>>();
  let started = journal.entries.length > 0;
  let counts: RunCounts = started ? { prefills: 0, prefillsUnshared: 0, nativeMs: 0, totalMs: 0 } : settled;

  const take = (samples: SamplesByCell, more: PartialCounts = {}): void => {
    for (const [cellId, records] of Object.entries(samples)) {
      if (finished.has(cellId)) continue;
      const known = byCell.get(cellId) ?? new Map<string, SampleRecord>();
      for (const sample of records) known.set(sample.sampleId, sample);
      byCell.set(cellId, known);
    }
    counts = addCounts(counts, more);
  };
  for (const entry of journal.entries) take(entry.samples, entry.counts);

  return {
    get counts() {
      return counts;
    },
    of: (cellId) => [...(byCell.get(cellId)?.values() ?? [])].sort((a, b) => a.index - b.index),
    sampleOf: (cellId, sampleId) => byCell.get(cellId)?.get(sampleId),
    append(samples, more = {}) {
      const written = Object.fromEntries(Object.entries(samples).map(([cellId, records]) => [cellId, [...records]]));
      journal.append({ samples: written, counts: started ? more : addCounts(counts, more) });
      started = true;
      take(samples, more);
    },
    forget(cellId) {
      byCell.delete(cellId);
    },
    close() {
      if (byCell.size === 0) journal.remove();
      else journal.close();
    },
  };
};
