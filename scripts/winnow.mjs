#!/usr/bin/env node
// The `winnow` command. TypeScript is run in place by tsx; this file only registers it, whatever the current folder is.
import { fileURLToPath } from 'node:url';
import { register as registerCommonJs } from 'tsx/cjs/api';
import { register } from 'tsx/esm/api';

// Both kinds: a method file in a folder without "type": "module" counts as CommonJS.
registerCommonJs();
register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) });
const { main } = await import('./main.ts');
process.exit(await main(process.argv.slice(2)));
