/** What the rest of Winnow asks of retrieval. */
export { evaluateRetrieval, type QueryRetrieval } from './evaluate.js';
export { retrievalOfFolder } from './folder.js';
export { retrievalOfSamples } from './samples.js';
export { type RetrievalSummary, summariseRetrieval } from './summary.js';
