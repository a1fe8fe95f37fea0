/** Says what a file is that is an image of a kind that is not decoded. */

interface Kind {
  readonly what: string;
  readonly extensions: readonly string[];
  readonly is: (start: string) => boolean;
  readonly remedy?: string;
}

const CONVERT = 'convert it to JPEG or PNG';

/** ISO media files name the codecs that they are made with: 4 letters each. */
const brand =
  (wanted: RegExp): Kind['is'] =>
  (start) =>
    start.startsWith('ftyp', 4) && wanted.test(start.slice(8, 64)) && !/avi[fs]/.test(start.slice(8, 64));
const begins =
  (...texts: readonly string[]): Kind['is'] =>
  (start) =>
    texts.some((text) => start.startsWith(text));
/** Nothing in the bytes tells: the extension alone does. */
const never = (): boolean => false;

const KINDS: readonly Kind[] = [
  {
    what: 'an SVG drawing, which has no pixels of its own',
    extensions: ['svg', 'svgz'],
    is: (start) => /^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?((<!--[^]*?-->|<!doctype[^>]*>)\s*)*<svg[\s>]/i.test(start),
    remedy: 'render it to PNG at the size that the model takes',
  },
  {
    what: 'an HEIC photograph',
    extensions: ['heic', 'heif', 'hif'],
    is: brand(/hei[cmsx]|hev[cmsx]|mif1|msf1/),
    remedy: `${CONVERT}, as \`heif-convert\` and macOS's \`sips -s format jpeg\` do`,
  },
  {
    what: 'a JPEG XL image',
    extensions: ['jxl'],
    is: begins('\xff\x0a', '\0\0\0\x0cJXL '),
    remedy: `${CONVERT}, as \`djxl\` does`,
  },
  {
    what: 'a JPEG 2000 image',
    extensions: ['jp2', 'j2k', 'j2c', 'jpc', 'jpf', 'jpx'],
    is: begins('\0\0\0\x0cjP  ', '\xff\x4f\xff\x51'),
    remedy: `${CONVERT}, as \`opj_decompress\` does`,
  },
  { what: 'a JPEG XR image', extensions: ['jxr', 'hdp', 'wdp'], is: begins('II\xbc') },
  { what: 'a Photoshop document', extensions: ['psd', 'psb'], is: begins('8BPS') },
  { what: 'an OpenEXR image', extensions: ['exr'], is: begins('\x76\x2f\x31\x01') },
  { what: 'a Radiance image', extensions: ['hdr'], is: begins('#?RADIANCE', '#?RGBE') },
  { what: 'an icon file', extensions: ['ico', 'cur'], is: begins('\0\0\x01\0', '\0\0\x02\0\x01') },
  { what: 'a QOI image', extensions: ['qoi'], is: begins('qoif') },
  { what: 'a DirectDraw surface', extensions: ['dds'], is: begins('DDS ') },
  { what: 'a FITS image', extensions: ['fits', 'fit'], is: begins('SIMPLE  =') },
  { what: 'a DICOM image', extensions: ['dcm', 'dicom'], is: (start) => start.startsWith('DICM', 128) },
  { what: 'a float image of Netpbm', extensions: ['pfm'], is: (start) => /^P[Ff]\s/.test(start) },
  { what: 'a PDF document', extensions: ['pdf'], is: begins('%PDF') },
  {
    what: 'a Git LFS pointer, which stands for a file that was not downloaded',
    extensions: [],
    is: begins('version https://git-lfs'),
    remedy: 'fetch the file with “git lfs pull”',
  },
  {
    what: 'a web page (HTML)',
    extensions: [],
    is: (start) => /^(\xef\xbb\xbf)?\s*<(!doctype html|html|head)\b/i.test(start),
    remedy: 'download the image itself',
  },
  {
    what: 'a camera raw file',
    extensions: ['dng', 'cr2', 'cr3', 'nef', 'arw', 'orf', 'raf', 'rw2'],
    is: (start) =>
      begins('FUJIFILMCCD-RAW', 'IIRO', 'IIU\0')(start) || start.startsWith('CR', 8) || brand(/crx/)(start),
    remedy: `develop it to JPEG or PNG`,
  },
  { what: 'a TGA image', extensions: ['tga'], is: never },
  { what: 'a PCX image', extensions: ['pcx'], is: (start) => /^\x0a[\0-\x05]\x01[\x01\x02\x04\x08]/.test(start) },
];

/** How much of a file tells what it is. */
export const TELLING_BYTES = 512;

/** What an image that is not decoded is, and what to do with it; null for all others. */
export function unsupportedImage(start: Uint8Array): string | null {
  const text = String.fromCharCode(...start.subarray(0, TELLING_BYTES));
  const kind = KINDS.find(({ is }) => is(text));
  return kind === undefined ? null : `it is ${kind.what}: ${kind.remedy ?? CONVERT}`;
}

const UNSUPPORTED = new Set(KINDS.flatMap(({ extensions }) => extensions));

/** The extension of an image that is not decoded, in small letters; null for all other files. */
export function unsupportedExtension(name: string): string | null {
  const extension = /\.([a-z\d]+)$/i.exec(name)?.[1]?.toLowerCase();
  return extension !== undefined && UNSUPPORTED.has(extension) ? extension : null;
}
