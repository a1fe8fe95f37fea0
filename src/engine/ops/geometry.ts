/** What the ops on windows of a feature map have in common. */
import { floorDivide } from '../../kernels/dyadic.js';
import type { Geometry } from '../../program/types.js';
import { closeGaps, scaleRuns } from '../plan/runs.js';
import type { Run, Step } from '../plan/types.js';
import type { ValueSpec } from '../values.js';
import type { Request } from './definition.js';

/** Words of a geometry: native/generated.h. */
export const GEOMETRY_WORDS = { size: 2, kernel: 2, stride: 2, pad: 2, dilation: 2, outWidth: 1, channels: 1 };

/** Channels of the map that an op lays `sideBySide` taps of in a row. */
export const channelsOf = (cols: number, sideBySide: Geometry | null): number =>
  sideBySide === null ? cols : floorDivide(cols, sideBySide.kernel[0] * sideBySide.kernel[1]);

/** See `GEOMETRY_WORDS`. */
export function geometryWords({ size, kernel, stride, pad, dilation, outSize }: Geometry, channels: number): number[] {
  return [...size, ...kernel, ...stride, ...pad, ...dilation, outSize[1], channels];
}

/** Asks for the pixels, of so many channels, that windows `runs` see. */
export function requestWindows(
  { op, operands: [id] }: Step & { readonly op: Geometry },
  channels: number,
  runs: readonly Run[],
  values: readonly ValueSpec[],
  request: Request,
): void {
  const wanted = closeGaps(
    runs.flatMap((run) => splitLines(op, run).flatMap((part) => pixelsOf(op, part))),
    1,
  );
  if (wanted.length > 0) request(id, scaleRuns(wanted, channels, values[id].cols));
}

/** Lines of windows that are told apart: more pixels are computed than are seen where there are more. */
const MOST_LINES = 1024;

/** A run of windows, line by line where the windows of two lines have a gap between them. */
function splitLines({ kernel, stride, dilation, outSize: [lines, across] }: Geometry, [first, end]: Run): Run[] {
  if (lines > MOST_LINES || stride[0] <= (kernel[0] - 1) * dilation[0] + 1) return [[first, end]];
  const parts: Run[] = [];
  for (let at = first; at < end;) {
    const next = Math.min(end, at + across - (at % across));
    parts.push([at, next]);
    at = next;
  }
  return parts;
}

/** The run of pixels that holds all that a run of windows sees; none where it sees none. */
function pixelsOf(geometry: Geometry, [first, end]: Run): Run[] {
  const { size, outSize } = geometry;
  const [across, width] = [outSize[1], size[1]];
  const [top, bottom] = [floorDivide(first, across), floorDivide(end - 1, across)];
  const lines = spanOf(geometry, 0, top, bottom);
  const columns =
    top === bottom ? spanOf(geometry, 1, first % across, (end - 1) % across) : spanOf(geometry, 1, 0, across - 1);
  if (lines[0] >= lines[1] || columns[0] >= columns[1]) return [];
  return [[lines[0] * width + columns[0], (lines[1] - 1) * width + columns[1]]];
}

/** What places first to last of the windows see of the map along one axis: may be empty. */
function spanOf({ size, kernel, stride, pad, dilation }: Geometry, axis: 0 | 1, first: number, last: number): Run {
  const start = first * stride[axis] - pad[axis];
  const end = last * stride[axis] - pad[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
  return [Math.max(0, start), Math.min(size[axis], end)];
}
