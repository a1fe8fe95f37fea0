/** What is used of the packages of @jsquash: their own types need those of the DOM. */
declare module '@jsquash/jpeg/decode.js' {
  export function init(module: WebAssembly.Module, overrides: { printErr(text: string): void }): Promise<void>;
  export default function decode(bytes: Uint8Array): Promise<import('./orientation.js').RgbaImage>;
}

declare module '@jsquash/png/decode.js' {
  export function init(module: WebAssembly.Module): Promise<void>;
  export default function decode(bytes: Uint8Array): Promise<import('./orientation.js').RgbaImage>;
}

declare module '@jsquash/webp/decode.js' {
  export function init(module: WebAssembly.Module): Promise<void>;
  export default function decode(bytes: Uint8Array): Promise<import('./orientation.js').RgbaImage>;
}
