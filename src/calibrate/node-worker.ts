/** onnxruntime-node in a thread of its own: several runs go on at once, and the main thread goes on meanwhile. */
import type * as Ort from 'onnxruntime-web';
import { packageRequire } from '../package-root.js';
import { serveSessions } from './session-worker.js';

serveSessions(packageRequire()('onnxruntime-node') as typeof Ort);
