#!/usr/bin/env node
// The `winnow` command. TypeScript is run in place by tsx; this file only registers it, whatever the current folder is.
import { fileURLToPath } from 'node:url';
import { register } from 'tsx/esm/api';

register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) });
const { main } = await import('./main.ts');
process.exit(await main(process.argv.slice(2)));
