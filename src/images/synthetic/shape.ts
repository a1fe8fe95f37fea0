/** The shapes that scenes are made of, and how they are painted. */
import type { Random } from '../random.js';
import { direction } from './canvas.js';
import type { Canvas } from './canvas.js';
import { textureAt } from './surface.js';
import type { Surface } from './surface.js';

export const ELLIPSE = 0;
export const BOX = 1;
const DIAMOND = 2;
const WEDGE = 3;

interface Shape {
  readonly kind: number;
  readonly x: number;
  readonly y: number;
  /** Half lengths along the shape's own axes. */
  readonly ru: number;
  readonly rv: number;
  readonly cos: number;
  readonly sin: number;
  /** Width of the edge in pixels: 1 is sharp, more is out of focus. */
  readonly softness: number;
  /** How round it looks: the brightness lost at the edge. */
  readonly bulge: number;
}

/** Paints a shape over what is there. */
export function paint(canvas: Canvas, shape: Shape, surface: Surface): void {
  const { data, width, height } = canvas;
  const { x: cx, y: cy, ru, rv, cos, sin, kind, softness, bulge } = shape;
  const { color, other, contrast, shadeX, shadeY } = surface;
  const sharpness = Math.min(ru, rv) / softness;
  // How far outside its box |u|, |v| ≤ 1 a shape's soft edge can reach.
  const margin = 1 + 0.75 / sharpness;
  const reachX = margin * (Math.abs(cos) * ru + Math.abs(sin) * rv);
  const reachY = margin * (Math.abs(sin) * ru + Math.abs(cos) * rv);
  const top = Math.max(0, Math.ceil(cy - reachY));
  const bottom = Math.min(height - 1, Math.floor(cy + reachY));
  const left = Math.max(0, Math.ceil(cx - reachX));
  const right = Math.min(width - 1, Math.floor(cx + reachX));
  const diff0 = other[0] - color[0];
  const diff1 = other[1] - color[1];
  const diff2 = other[2] - color[2];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const dx = x - cx;
      const dy = y - cy;
      const u = (dx * cos + dy * sin) / ru;
      const v = (dy * cos - dx * sin) / rv;
      const inside = insideness(kind, u, v);
      const cover = Math.min(1, sharpness * inside + 0.5);
      if (cover <= 0) continue;
      const mix = contrast * textureAt(surface, x, y);
      const shade = shadeX * dx + shadeY * dy - bulge * (u * u + v * v);
      const i = 3 * (y * width + x);
      data[i] += cover * (color[0] + mix * diff0 + shade - data[i]!);
      data[i + 1] += cover * (color[1] + mix * diff1 + shade - data[i + 1]!);
      data[i + 2] += cover * (color[2] + mix * diff2 + shade - data[i + 2]!);
    }
  }
}

/** 1 in the middle of a shape, 0 on its edge, negative outside; near the edge, about the distance from it. */
function insideness(kind: number, u: number, v: number): number {
  switch (kind) {
    case ELLIPSE:
      return 0.5 * (1 - u * u - v * v);
    case BOX:
      return 1 - Math.max(Math.abs(u), Math.abs(v));
    case DIAMOND:
      return 1 - Math.abs(u) - Math.abs(v);
    default:
      // A triangle: pointed at v = −1, as wide as the shape at v = 1.
      return Math.min(1 - v, 0.5 * (1 + v) - Math.abs(u));
  }
}

/** Where a shape goes and how large it is. */
interface Placement {
  readonly radius: number;
  readonly x: number;
  readonly y: number;
  /** Width of the edge in pixels. */
  readonly softness: number;
  /** How likely it is to be an ellipse: 0.5 is as likely as not, 1 almost certain. */
  readonly roundness?: number;
}

export function makeShape(random: Random, { radius, x, y, softness, roundness = 0.5 }: Placement): Shape {
  const kind = random.uniform() + 0.5 - roundness;
  const aspect = random.uniform() < 0.15 ? random.between(0.03, 0.2) : random.between(0.35, 1);
  const [cos, sin] = random.uniform() < 0.3 ? [1, 0] : direction(random);
  const isUpright = random.uniform() < 0.5;
  return {
    kind: kind < 0.5 ? ELLIPSE : kind < 0.8 ? BOX : kind < 0.9 ? DIAMOND : WEDGE,
    x,
    y,
    ru: Math.max(0.7, isUpright ? radius * aspect : radius),
    rv: Math.max(0.7, isUpright ? radius : radius * aspect),
    cos,
    sin,
    softness,
    bulge: random.uniform() < 0.5 ? random.between(0, 0.25) : 0,
  };
}
