"""Safety filters: small checks in a list, one verdict, failing closed where it matters."""

from antiphon.tools.guards.verdict import (
    Action,
    Finding,
    Guard,
    Rail,
    Severity,
    Subject,
    Verdict,
    Violation,
)

__all__ = ["Action", "Finding", "Guard", "Rail", "Severity", "Subject", "Verdict", "Violation"]
