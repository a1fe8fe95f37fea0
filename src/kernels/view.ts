import type { OperandView } from '../program/types.js';

/** Where the channels of head `head` of token `token` (counted over all windows) begin in the view's source. */
export function locate(view: OperandView, token: number, head: number): number {
  return (view.rows === null ? token : view.rows[token]) * view.stride + view.offset + head * view.headStride;
}
