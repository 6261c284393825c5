/** Times one setting in a process of its own: the request as JSON on stdin, the outcome as JSON on stdout. */
import { openEngine } from '../engine/index.js';
import type { PeakRequest } from './peak-memory.js';

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const { path, options, request } = JSON.parse(Buffer.concat(chunks).toString()) as PeakRequest;
const engine = await openEngine(path, options);
const outcome = await engine.time(request);
await engine.close();
process.stdout.write(JSON.stringify(outcome));
