"""Reading suites: YAML in, a frozen and validated `Suite` out. Imports neither torch nor Ray."""

from bench.suite.load import LoadedSuite, load_suite, parse_suite
from bench.suite.schema import Suite

__all__ = ["LoadedSuite", "Suite", "load_suite", "parse_suite"]
