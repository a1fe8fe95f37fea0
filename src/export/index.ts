/** The export targets: one entry each. */
import { cTarget } from './c/index.js';
import { onnxTarget } from './onnx/index.js';
import type { ExportTarget } from './target.js';

export const EXPORT_TARGETS = {
  c: cTarget,
  onnx: onnxTarget,
} satisfies Record<string, ExportTarget>;

export type ExportTargetName = keyof typeof EXPORT_TARGETS;
