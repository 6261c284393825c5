// Worker threads do not inherit the TypeScript loader of the main thread.
import { register as registerCommonJs } from 'tsx/cjs/api';
import { register } from 'tsx/esm/api';

// Both kinds: a method file in a folder without "type": "module" counts as CommonJS.
registerCommonJs();
register();
await import('./worker.ts');
