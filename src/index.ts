/** `ivit` as a library: what the commands do, as functions. */
export { CheckError, ExitCode, InputError, UsageError } from './errors.js';
export type { CodeOptions, ErrorCode, InputErrorCode, UsageErrorCode } from './errors.js';
export type { BackendName, EngineOptions } from './engine/types.js';
export { digestOf } from './metrics/output-digest.js';
export { decodeImage } from './api/decode.js';
export type { DecodeOptions, ExifMode } from './images/decode.js';
export type { PixelImage, RgbImage } from './images/image.js';
export { evaluate } from './api/evaluate.js';
export type { Evaluation, FloatComparison } from './api/evaluation.js';
export { mergeEvaluations } from './api/merge.js';
export type { MergeRequest, MergedEvaluation } from './api/merge.js';
export type { Row } from './api/part-file.js';
export type { Shard } from './api/shard.js';
export { compare } from './api/compare.js';
export type { ComparePlan, CompareRequest, CompareStage } from './api/requests.js';
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
export type { OutputAgreement, OutputFigures } from './metrics/similarity.js';
export type { Reals } from './metrics/tail.js';

// What the types above are made of.
export type { PartHeader } from './api/part-file.js';
export type { PerChannel, ResizeRecipe, ResizeRule, Size } from './images/preprocess/recipe.js';
export type { RecipeFlags } from './images/preprocess/flags.js';
export type { Agreement, PairFigures } from './metrics/agreement.js';
export type { ClassAccuracy, Confused } from './metrics/confusion.js';
export type { FloatRow, ImageRow, RowLabel, SkippedRow } from './metrics/image-row.js';
export type { ComparisonFigures, Share } from './metrics/comparison.js';
export type { Interval } from './metrics/interval.js';
export type { Comparison, ModelOutput } from './metrics/output.js';
export type { Quantiles } from './metrics/quantiles.js';
export type { OutputSummary } from './metrics/results.js';
export type { Headroom } from './program/headroom.js';
export type { Provenance, StoredModel } from './program/model.js';
export type {
  Effort,
  KernelSet,
  LayerBits,
  PatternBits,
  QuantizeOptions,
  ScaleMode,
  Target,
  WeightBits,
} from './quantize/options.js';
export type { RangeMethod } from './quantize/decide/ranges.js';
export type { AttentionReport, Extent, LayerReport } from './quantize/report.js';
export type { FitStage } from './quantize/request.js';
export type {
  Curve,
  Divergences,
  Fidelity,
  FunctionError,
  IntegerHistogram,
  LayerIntegers,
  Ranked,
  Speed,
} from './report/types.js';
export type { ProgramFunctionError } from './report/function-errors.js';
export type { Interpolation } from './images/resample.js';
