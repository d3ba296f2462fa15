"""One runnable program per row of the five texts; `python -m examples` runs them all."""
