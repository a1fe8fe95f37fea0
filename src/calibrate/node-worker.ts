/** onnxruntime-node in a thread of its own: several runs go on at once, and the main thread goes on meanwhile. */
import type * as Ort from 'onnxruntime-web';
import { packageRequire } from '../package-root.js';
import { serveSessions } from './session-worker.js';

// The memory of results is ONNX Runtime's, which takes it back.
serveSessions(packageRequire()('onnxruntime-node') as typeof Ort, (data) => data.slice());
