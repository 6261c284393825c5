/** Writes docs/methods.md from the adapters. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { methodCards } from '../methods/cards.js';
import { methods } from '../methods/index.js';

writeFileSync(join(import.meta.dirname, '..', 'docs', 'methods.md'), methodCards(methods));
