"""From a graph to native code: passes, fusion, code generation, threads, cache, `jit`."""
