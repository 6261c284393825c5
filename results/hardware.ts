import type { RunRecord } from './schema.js';

type Hardware = Pick<RunRecord, 'device' | 'machine' | 'isa' | 'threads'>;

/** What a run's times are times of: its device, else the processor with the instructions and threads that were used. */
export const timedOn = ({ device, machine, isa, threads }: Hardware): string =>
  device?.name ?? `${machine.cpu}, ${isa}, ${threads} threads`;

/** The device as a table states it. */
export const deviceText = ({
  name,
  architecture,
  driver,
  memoryBytes,
  multiprocessors,
}: NonNullable<RunRecord['device']>): string =>
  `${name}, ${architecture}, ${multiprocessors} multiprocessors, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB; driver ${driver}`;
