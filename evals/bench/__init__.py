"""Benchmarks: data by path in, figures with the machine and versions they were measured on out."""
