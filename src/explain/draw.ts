/** Maps drawn over their images, several images on a sheet. */
import type Sharp from 'sharp';
import { labelText } from '../images/label-text.js';
import type { ImageMap } from './image-map.js';
import { COLOURS, overlaid } from './overlay.js';

/** One image of a sheet. */
export interface Explained {
  /** u8 HWC of the network's input size. */
  readonly pixels: Uint8Array;
  readonly title: string;
  readonly maps: readonly ImageMap[];
}

export interface PixelShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

const TILE = 224;
const GAP = 12;
const CAPTION = 22;
/** Tiles side by side; what is more wraps. */
const ACROSS = 7;
const LEGEND = 46;

/** A PNG of all images: each in a row with its maps, and a legend of the colours. */
export async function drawSheet(sharp: typeof Sharp, images: readonly Explained[], shape: PixelShape): Promise<Buffer> {
  const height = Math.max(1, Math.round((TILE * shape.height) / Math.max(shape.height, shape.width)));
  const width = Math.max(1, Math.round((TILE * shape.width) / Math.max(shape.height, shape.width)));
  const tiles = 1 + Math.max(...images.map(({ maps }) => maps.length));
  const across = Math.min(ACROSS, tiles);
  const lines = Math.ceil(tiles / across);
  const rowHeight = lines * (height + CAPTION + GAP) + CAPTION;
  const sheet = { width: GAP + across * (width + GAP), height: images.length * rowHeight + LEGEND + GAP };
  const parts: { input: Buffer; left: number; top: number }[] = [];
  const texts: string[] = [];
  for (const [i, { pixels, title, maps }] of images.entries()) {
    const top = i * rowHeight;
    texts.push(text(GAP, top + 16, title, 'bold'));
    const picture = await resized(sharp, pixels, shape, { height, width });
    for (const [t, map] of [null, ...maps].entries()) {
      const left = GAP + (t % across) * (width + GAP);
      const at = top + CAPTION + Math.floor(t / across) * (height + CAPTION + GAP);
      const input = map === null ? picture : overlaid(picture, map, { height, width });
      parts.push({ input: await encoded(sharp, input, { height, width }), left, top: at });
      texts.push(text(left, at + height + 15, map?.title ?? 'image', 'normal'));
    }
  }
  const svg = Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${sheet.width}" height="${sheet.height}">` +
      `${legend(sheet.height - LEGEND)}${texts.join('')}</svg>`,
  );
  return sharp({ create: { ...sheet, channels: 3, background: '#fff' } })
    .composite([...parts, { input: svg, left: 0, top: 0 }])
    .removeAlpha()
    .png()
    .toBuffer();
}

const text = (x: number, y: number, content: string, weight: string): string =>
  `<text x="${x}" y="${y}" font-family="sans-serif" font-size="13" font-weight="${weight}" fill="#222">` +
  `${labelText(content)
    .replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`)
    .replace(/[\0-\x1f]/g, ' ')}</text>`;

function legend(top: number): string {
  const stops = COLOURS.map(
    (rgb, i) => `<stop offset="${i / (COLOURS.length - 1)}" stop-color="rgb(${rgb.join(',')})"/>`,
  );
  return (
    `<defs><linearGradient id="scale">${stops.join('')}</linearGradient></defs>` +
    `<rect x="${GAP}" y="${top + 8}" width="160" height="10" fill="url(#scale)"/>` +
    text(GAP, top + 34, 'none', 'normal') +
    text(GAP + 74, top + 34, 'most of a map', 'normal')
  );
}

/** RGB of a size. */
async function resized(
  sharp: typeof Sharp,
  pixels: Uint8Array,
  { height, width, channels }: PixelShape,
  size: { readonly height: number; readonly width: number },
): Promise<Buffer> {
  return sharp(pixels, { raw: { height, width, channels: channels as 1 | 3 } })
    .resize(size.width, size.height, { fit: 'fill' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer();
}

const encoded = (sharp: typeof Sharp, rgb: Uint8Array, size: { height: number; width: number }): Promise<Buffer> =>
  sharp(rgb, { raw: { ...size, channels: 3 } })
    .png()
    .toBuffer();
