/** Writes the generated sections of the documents: `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { methods } from '../methods/index.js';
import { methodTable, replaceSection } from './method-table.js';

const readme = new URL('../README.md', import.meta.url);
writeFileSync(readme, replaceSection(readFileSync(readme, 'utf8'), 'methods', methodTable(methods)));
