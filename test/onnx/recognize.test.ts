import { gzipSync } from 'node:zlib';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { loadModel } from '../../src/program/file.js';
import { encodeModel, temporaryFolder, type ModelSpec } from './build.js';

const model: ModelSpec = { nodes: [], outputs: ['w'], initializers: {} };
const latin = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const LFS = latin('version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 22900874\n');

describe('a file that is no ONNX model is named for what it is', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['a Git LFS pointer', LFS, /Git LFS pointer.*git lfs pull/],
    ['a web page', latin('\n<!DOCTYPE html><html></html>'), /web page/],
    ['safetensors', latin('p\x01\0\0\0\0\0\0{"blocks.0.bias":{"dtype":"F32"}}'), /safetensors.*export/],
    ['an .ivit', latin('p\x01\0\0\0\0\0\0{"__metadata__":{"format":"ivit","version":"3"}}'), /\.ivit model/],
    ['a PyTorch archive', latin('PK\x03\x04\0\0m/data.pkl'), /torch\.save.*export/],
    ['an older PyTorch file', latin('\x80\x02\x8a\x0al\xfc'), /pickle.*export/],
    ['TensorFlow Lite', latin('\x1c\0\0\0TFL3\x14\0'), /TensorFlow Lite/],
    ['gzip', new Uint8Array(gzipSync(encodeModel(model))), /gzip.*gunzip/],
    ['a PNG image', latin('\x89PNG\r\n\x1a\n'), /image.*--images/],
    ['arrays of NumPy', latin('PK\x03\x04' + '\0'.repeat(26) + 'arr_0.npy'), /NumPy or Keras/],
    ['a Keras archive', latin('PK\x03\x04' + '\0'.repeat(26) + 'metadata.json'), /Keras.*tf2onnx/],
    ['one array', latin('\x93NUMPY\x01\0'), /array of NumPy/],
    ['OpenVINO', latin('<?xml version="1.0"?>\n<net name="m">'), /OpenVINO.*ONNX file/],
    ['ORT format', latin('\x20\0\0\0ORTM'), /ORT format.*\.onnx/],
    ['a TensorRT engine', latin('ftrt\0\0'), /TensorRT/],
    ['a tar archive', latin('model.onnx'.padEnd(257, '\0') + 'ustar'), /tar -xf/],
    ['a program', latin('\x7fELF\x02'), /program/],
    ['a document', latin('%PDF-1.7'), /PDF/],
    ['JSON', latin('{"id2label": {}}'), /JSON/],
  ])('%s', async (_, bytes, cause) => {
    const file = path.join(temporaryFolder({ 'm.onnx': bytes }), 'm.onnx');
    await expect(loadOnnx(file)).rejects.toThrow(InputError);
    await expect(loadOnnx(file)).rejects.toThrow(cause);
  });

  test.each<[string, Record<string, Uint8Array>, RegExp]>([
    ['models', { 'b.onnx': LFS, 'a.onnx': LFS }, /is a folder, .* give one of its files, a\.onnx, b\.onnx/],
    ['a SavedModel', { 'saved_model.pb': LFS }, /SavedModel of TensorFlow.*tf2onnx/],
    ['a repository', { 'config.json': LFS }, /optimum-cli export onnx/],
    ['nothing', {}, /is a folder, not an ONNX file$/],
  ])('a folder with %s', async (_, files, cause) => {
    await expect(loadOnnx(temporaryFolder(files))).rejects.toThrow(cause);
  });

  test('external data too', async () => {
    const external = { dims: [2], dataType: 1, external: { location: 'w.bin', offset: '4096' } };
    const folder = temporaryFolder({
      'm.onnx': encodeModel({ ...model, initializers: { w: external } }),
      'w.bin': LFS,
    });
    const { model: read, tensors } = await loadOnnx(path.join(folder, 'm.onnx'));
    expect(() => tensors.read(read.graph.initializers.get('w')!)).toThrow(/w\.bin is a Git LFS pointer/);
  });

  test('an ONNX model given as .ivit is told to be quantized first', async () => {
    const file = path.join(temporaryFolder({ 'm.onnx': encodeModel(model) }), 'm.onnx');
    await expect(loadModel(file)).rejects.toThrow(/ivit quantize/);
  });
});
