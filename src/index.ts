/** `ivit` as a library: what the commands do, as functions. */
export { CheckError, ExitCode, InputError, UsageError } from './errors.js';
export type { BackendName, EngineOptions } from './engine/types.js';
export { decodeImage } from './images/decode.js';
export type { RgbImage } from './images/image.js';
export { evaluate } from './library/evaluate.js';
export type { EvaluateRequest, EvaluatedImage, Evaluation, FloatComparison } from './library/evaluate.js';
export { Model } from './library/model.js';
export type { Inference, Prediction } from './library/model.js';
export { quantize } from './library/quantize.js';
export type { QuantizeRequest, QuantizeSummary, SkippedImage } from './library/quantize.js';
