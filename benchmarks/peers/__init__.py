"""One file per framework: `train(workload)` and `record(workload)` give a function to call.

A peer that cannot do a kind of workload leaves the function out. `train` returns the step, which
gives the loss as a number when called with `read=True`.
"""

NAMES = ("pierian", "torch", "numpy")
REFERENCE = "torch"
