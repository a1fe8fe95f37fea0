/** Says what a file is that was given as an ONNX model and is none. */

interface Kind {
  readonly what: string;
  readonly remedy: string;
  readonly is: (start: Uint8Array) => boolean;
}

const TO_ONNX = 'export the model to ONNX first: torch.onnx.export, or optimum-cli export onnx';

const text = (start: Uint8Array): string =>
  Buffer.from(start.buffer, start.byteOffset, start.length).toString('latin1');

const begins =
  (bytes: string, at = 0): Kind['is'] =>
  (start) =>
    text(start).startsWith(bytes, at);

const KINDS: readonly Kind[] = [
  {
    what: 'a Git LFS pointer, which stands for a file that was not downloaded',
    remedy: 'fetch the file with “git lfs pull”, or download it by its own link',
    is: begins('version https://git-lfs'),
  },
  {
    what: 'a web page (HTML)',
    remedy: 'take the link to the file itself (on Hugging Face, “resolve” in place of “blob”)',
    is: (start) => /^(\xef\xbb\xbf)?\s*(<!--[^]*?-->\s*)?<(!doctype|html|head)/i.test(text(start)),
  },
  {
    what: 'a file of safetensors, weights without a network',
    remedy: TO_ONNX,
    is: (start) => /^[^]{4}\0{4}\s*\{\s*"/.test(text(start)) && !isIvit(start),
  },
  {
    what: 'an .ivit model, quantized already',
    remedy: 'run it with ivit infer, or give the float ONNX model',
    is: isIvit,
  },
  {
    what: 'a zip archive of NumPy or Keras (.npz, .keras), no network as ONNX',
    remedy: 'convert a Keras model to ONNX with tf2onnx; arrays are no model',
    is: (start) => /^PK\x03\x04[^]{26}([\w./-]+\.npy|metadata\.json|config\.json|model\.weights\.h5)/.test(text(start)),
  },
  {
    what: 'a zip archive, as torch.save writes (.pt, .pth)',
    remedy: `if it is a PyTorch checkpoint, ${TO_ONNX}; else unpack it`,
    is: begins('PK\x03\x04'),
  },
  {
    what: 'a Python pickle, as torch.save writes (.pt, .pth)',
    remedy: TO_ONNX,
    is: (start) => /^\x80[\x02-\x05]/.test(text(start)),
  },
  {
    what: 'a TensorFlow Lite model',
    remedy: 'give the float model that it was made from, as ONNX',
    is: begins('TFL3', 4),
  },
  { what: 'an HDF5 file, as Keras writes', remedy: 'convert the model to ONNX with tf2onnx', is: begins('\x89HDF') },
  {
    what: 'an array of NumPy',
    remedy: 'give the model first, and images with --images',
    is: begins('\x93NUMPY'),
  },
  {
    what: 'an OpenVINO or other XML description',
    remedy: 'give the ONNX file that it was made from',
    is: (start) => /^(\xef\xbb\xbf)?\s*<(\?xml|net)\b/i.test(text(start)),
  },
  {
    what: 'an ONNX Runtime model in the ORT format',
    remedy: 'give the .onnx file that it was made from',
    is: begins('ORTM', 4),
  },
  {
    what: 'a TensorRT engine',
    remedy: 'give the ONNX file that it was made from',
    is: (start) => /^(ftrt|ptrt)/.test(text(start)),
  },
  { what: 'a tar archive', remedy: 'unpack it with tar -xf', is: begins('ustar', 257) },
  { what: 'compressed with bzip2', remedy: 'unpack it with bunzip2', is: begins('BZh') },
  { what: 'a 7z archive', remedy: 'unpack it', is: begins('7z\xbc\xaf') },
  { what: 'a PDF document', remedy: 'give the .onnx file', is: begins('%PDF') },
  {
    what: 'a program or library',
    remedy: 'give the .onnx file',
    is: (start) => /^(\x7fELF|MZ[^]{20}|\xcf\xfa\xed\xfe|#!)/.test(text(start)),
  },
  { what: 'a GGUF file', remedy: 'give the float model that it was made from, as ONNX', is: begins('GGUF') },
  { what: 'compressed with gzip', remedy: 'unpack it with gunzip', is: begins('\x1f\x8b') },
  { what: 'compressed with Zstandard', remedy: 'unpack it with unzstd', is: begins('\x28\xb5\x2f\xfd') },
  { what: 'compressed with xz', remedy: 'unpack it with unxz', is: begins('\xfd7zXZ') },
  {
    what: 'an image, JPEG, PNG or the like',
    remedy: 'give the model first, and images with --images',
    is: (start) => /^(\xff\xd8\xff|\x89PNG|GIF8|RIFF[^]{4}WEBP|II\*\0|MM\0\*)/.test(text(start)),
  },
  {
    what: 'a JSON file',
    remedy: 'give the .onnx file beside it',
    is: (start) => /^\s*[{[]\s*["{[\]}]/.test(text(start)),
  },
];

/** As `loadModel` reads it: a header length, then the header, JSON that begins with the format's version. */
function isIvit(start: Uint8Array): boolean {
  return /^[^]{8}\s*\{[^]*"(__metadata__|ivit)/.test(text(start));
}

/** What a file is by its first bytes, and what to do; null where nothing is known. */
export function recognize(bytes: Uint8Array): { what: string; remedy: string } | null {
  const start = bytes.subarray(0, 512);
  return KINDS.find(({ is }) => is(start)) ?? null;
}
