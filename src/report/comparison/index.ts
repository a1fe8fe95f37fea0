import { comparisonJson, comparisonPage } from './page.js';
import { comparisonCsv, comparisonMarkdown } from './text.js';
import type { ComparisonData, ComparisonFormat } from './types.js';

export { COMPARISON_FORMATS } from './types.js';
export { kindFigures } from './functions.js';
export type { ComparedModel, ComparisonData, ComparisonFormat } from './types.js';

/** How a comparison is written in each format. */
const WRITERS: Readonly<Record<ComparisonFormat, (data: ComparisonData) => string>> = {
  md: comparisonMarkdown,
  csv: comparisonCsv,
  json: (data) => `${comparisonJson(data)}\n`,
  html: comparisonPage,
};

export const renderComparison = (data: ComparisonData, format: ComparisonFormat): string => WRITERS[format](data);
