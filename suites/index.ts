/** What the rest of Winnow asks of suites: files, plans, tasks, scorers. */
export { type MethodPlanFacts, type Plan, type PlanOptions, planSuite } from './plan.js';
export { scorerById, scorerIds } from './scorers/index.js';
export { type FileScore, scoreFile } from './scorers/score-file.js';
export { type LoadedSuite, listSuites, loadSuite, parseSuite, type SuiteSummary } from './suite-file.js';
export type { SuiteOverrides } from './suite-file-overrides.js';
export { suiteJsonSchema } from './suite-file-schema.js';
export { findTask, taskIds, tasks } from './tasks/index.js';
