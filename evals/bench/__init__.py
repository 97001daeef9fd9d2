"""Benchmarks: each takes data by path and returns figures with the machine and versions they were measured on."""
