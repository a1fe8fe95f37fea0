/** `ivit` as a library: what the commands do, as functions. */
export { CheckError, ExitCode, InputError, UsageError } from './errors.js';
export type { BackendName, EngineOptions } from './engine/types.js';
export { decodeImage } from './api/decode.js';
export type { DecodeOptions, ExifMode } from './images/decode.js';
export type { PixelImage, RgbImage } from './images/image.js';
export { evaluate } from './api/evaluate.js';
export type { Evaluation, FloatComparison } from './api/evaluate.js';
export { Model, realValues } from './api/model.js';
export type { Inference, OutputInfo, OutputResult, Prediction } from './api/model.js';
export { quantize } from './api/quantize.js';
export type { RecipeProbe, RecipeTrial } from './api/probe-recipe.js';
export type { QuantizeSummary, SkippedImage } from './api/quantize.js';
export type { EvaluateRequest, EvaluatedImage, QuantizeRequest } from './api/requests.js';
export { verify } from './api/verify.js';
export type { Check, Verification, VerifyRequest } from './api/verify.js';
export type { TailStep } from './metrics/output.js';
export type { OutputAgreement } from './metrics/similarity.js';
export type { Reals } from './metrics/tail.js';
