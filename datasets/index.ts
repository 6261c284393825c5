/** What the rest of Winnow asks of datasets. */
export type { DatasetEntry, DatasetFile, DatasetFileEntry, OpenDataset } from './contract.js';
export { datasetEntry, datasetFolder, datasetIds, datasetState } from './manifest.js';
export { type OpenOptions, openDataset, openDatasets } from './open.js';
