"""Benchmarks: `make bench`, or `python -m bench [NAME...] [--quick]`.

They run keelwatch as a user runs it, beside real containers. The truth always comes from the workload
or the generator, never from keelwatch's own counters; what depends on the machine is given as a ratio
of two measurements of one run. Results: a table, and bench/out/NAME.json.
"""
