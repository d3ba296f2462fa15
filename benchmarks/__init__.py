"""Side-by-side measurements: us and every installed peer, same arrays, same cores, one run.

    pip install torch jax keras scikit-learn    # of torch, the build for CPUs is enough
    python -m benchmarks                        # time per training step, every workload and peer
    python -m benchmarks all --markdown benchmarks/RESULTS.md
    python -m benchmarks train --threads 1 --only mlp --peers pierian,jax

Peers may be in an environment of their own: `--python torch=PATH --python jax=PATH …` names its
interpreter, which needs NumPy besides. `torch compiled` needs a C++ compiler. `fit` takes the full
MNIST from the folder `PIERIAN_DATA`, else the sample in the package. Run it on an idle machine:
another busy process makes threads wait for each other, some peers more than others.

A group of measurements is a file with `measure(bench)`, which gives what `--json` prints, and
`table(answer)`; to add one: that file and a row in `__main__.GROUPS`. To add a workload: a row in
`workloads.py`; to add a peer: a name in `peers/__init__.py` and its function in `peers/`.
"""
