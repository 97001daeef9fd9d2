"""How well: metrics, golden sets, regressions, benchmarks."""
