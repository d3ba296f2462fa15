"""One file per framework, and in it one function per way of training with it.

"jax scan" is the function `scan` in `with_jax.py`. It takes a `Task` and gives a function that
trains over the whole order once and returns the mean loss of its batches; how the batches get from
the arrays into the step is the framework's own best way. A file may also have `fit(data)`, which
trains with the framework's highest verb and returns the accuracy on the test data.

A way that cannot do a workload raises NotImplementedError with the reason. To add a peer: a name in
`NAMES`, best way last, and its function.
"""

OURS = ("pierian eager", "pierian jit", "pierian scan")
NAMES = (*OURS, "torch eager", "torch compiled", "jax jit", "jax scan", "keras steps_per_execution",
         "sklearn partial_fit", "numpy loop")  # fmt: skip
FITS = ("pierian fit", "keras fit")
