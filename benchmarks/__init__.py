"""Side-by-side measurements: us and every installed peer, same arrays, same threads, one run.

`python -m benchmarks` prints a Markdown table. To add a workload: a row in `workloads.py`; to add
a peer: a file in `peers/` with a function per kind of workload.
"""
