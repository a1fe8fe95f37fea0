export { adviseOn } from './advice.js';
export { FidelityMeter } from './fidelity.js';
export { functionErrors } from './function-errors.js';
export { observeProgram } from './observe.js';
export { renderPage, reportJson } from './page/index.js';
export type { Advice, Analysis, Example, LayerFigures, ReportData } from './types.js';
