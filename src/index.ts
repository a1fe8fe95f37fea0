/** `ivit` as a library: what the commands do, as functions. */
export { CheckError, ExitCode, InputError, UsageError } from './errors.js';
export type { BackendName, EngineOptions } from './engine/types.js';
export { decodeImage } from './images/decode.js';
export type { DecodeOptions, ExifMode } from './images/decode.js';
export type { RgbImage } from './images/image.js';
export { evaluate } from './api/evaluate.js';
export type { EvaluateRequest, EvaluatedImage, Evaluation, FloatComparison } from './api/evaluate.js';
export { Model } from './api/model.js';
export type { Inference, Prediction } from './api/model.js';
export { quantize } from './api/quantize.js';
export type { RecipeProbe, RecipeTrial } from './api/probe-recipe.js';
export type { QuantizeRequest, QuantizeSummary, SkippedImage } from './api/quantize.js';
