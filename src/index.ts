/** `ivit` as a library: what the commands do, as functions. */
export { CheckError, ExitCode, InputError, UsageError } from './errors.js';
export type { ErrorCode, InputErrorCode, UsageErrorCode } from './errors.js';
export type { BackendName, EngineOptions } from './engine/types.js';
export { digestOf } from './metrics/output-digest.js';
export { decodeImage } from './api/decode.js';
export type { DecodeOptions, ExifMode } from './images/decode.js';
export type { PixelImage, RgbImage } from './images/image.js';
export { evaluate } from './api/evaluate.js';
export type { Evaluation, FloatComparison } from './api/evaluation.js';
export { mergeEvaluations } from './api/merge.js';
export type { MergeRequest, MergedEvaluation } from './api/merge.js';
export type { Row, Shard } from './api/part-file.js';
export { compare } from './api/compare.js';
export type { CompareRequest, CompareStage } from './api/requests.js';
export type { ComparedModel, ComparisonData, ComparisonFormat } from './report/comparison/index.js';
export { diffModels } from './api/diff.js';
export type { Difference, ModelDiff } from './api/diff.js';
export { explain } from './api/explain.js';
export type { ExplainImage } from './api/explain.js';
export type { ImageMap } from './explain/index.js';
export { exportModel } from './api/export.js';
export type { ExportRequest, ExportSummary } from './api/export.js';
export type { ExportOptions, OpBytes } from './export/target.js';
export { Model } from './api/model.js';
export type {
  ImageInput,
  ImageResult,
  InferAllOptions,
  Inference,
  InferredImage,
  RefusedImage,
} from './api/infer-all.js';
export type { LoadOptions, LoadStage } from './api/checks.js';
export type { LongWork, OnProgress } from './api/long-work.js';
export { quantize } from './api/quantize.js';
export type { RecipeProbe, RecipeTrial } from './api/probe-recipe.js';
export type { QuantizeSummary, SkippedImage } from './api/summary.js';
export { report } from './api/report.js';
export type { Advice, Analysis, Example, LayerFigures, ReportData } from './report/index.js';
export type { EvaluateRequest, EvaluatedImage, QuantizeRequest, QuantizeStage, ReportRequest } from './api/requests.js';
export { serve } from './api/serve.js';
export type { ServeRequest, ServedResult, Serving } from './api/serve.js';
export { verify } from './api/verify.js';
export type { Check, Verification, VerifyRequest } from './api/verify.js';
export { realValues } from './metrics/results.js';
export type { OutputInfo, OutputResult } from './metrics/results.js';
export type { Prediction } from './metrics/predictions.js';
export type { TailStep } from './metrics/output.js';
export type { OutputAgreement } from './metrics/similarity.js';
export type { Reals } from './metrics/tail.js';
