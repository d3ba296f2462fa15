"""Tests of the ops room; `cases.py` is the one table, the sweeps use every row of it."""
