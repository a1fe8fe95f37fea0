/** What the engine hands over: the DOM's types want views of memory that is known not to be shared. */
declare namespace WebAssembly {
  function compile(bytes: ArrayBufferView): Promise<Module>;
  function validate(bytes: ArrayBufferView): boolean;
}
