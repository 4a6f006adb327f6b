"""What a bundle says of itself: what is in it, and what made it."""

import json
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bench.results.schema import SCHEMA_VERSION
from bench.results.store import Store

README = """\
# Results of medseg-bench

`bench leaderboard FILE`, `bench compare` and `bench claims` read this bundle as it is. Unpacked, it is a results
folder.

| | |
|---|---|
| `suite.json` | The suite as planned: tasks, entries, search spaces, budgets, claims, and the hash of the plan |
| `trials/`, `cases/`, `curves/` | Tables, Parquet: how each training ended, every case's values, learning curves |
| `runs/`, `studies/`, `env/` | What was run, and on what |
| `environment.json` | Versions of the code, packages and devices that made the trials, and how many each |
| `bundle.json` | What this bundle is |
| `SHA256SUMS` | Checksums: `sha256sum -c SHA256SUMS`. They tell damage, not forgery |

```python
import pandas as pd

trials = pd.read_parquet("trials")
cases = pd.read_parquet("cases")
joined = cases.merge(trials, on=["trial", "code", "attempt"], suffixes=("", "_trial"))
```
"""


def manifest(suite: Mapping[str, Any], rows: Mapping[str, int], deidentified: bool) -> dict[str, Any]:
    """Returns what a bundle says of itself, as JSON values.

    Args:
        suite: Resolved.
        rows: By table, how many.
        deidentified: Whether names were taken out.
    """
    return {
        "suite": suite.get("suite", ""),
        "plan": suite.get("plan", ""),
        "deidentified": deidentified,
        "schema_version": SCHEMA_VERSION,
        "medseg_bench": _own_version(),
        "rows": dict(sorted(rows.items())),
    }


def environment(store: Store) -> dict[str, Any]:
    """Returns what made the trials of a store: code, packages and devices, each with the number of trials."""
    trials = store.table("trials")
    versions = Counter(trials["versions_json"].to_pylist())
    return {
        "code": _counted(trials, "code"),
        "devices": _counted(trials, "device"),
        "precision": _counted(trials, "precision"),
        "packages": [
            {"trials": count, "versions": json.loads(text)} for text, count in sorted(versions.items())
        ],
    }


def _counted(trials: Any, column: str) -> dict[str, int]:
    return dict(sorted(Counter(trials[column].to_pylist()).items()))


def _own_version() -> str:
    try:
        return version("medseg-bench")
    except PackageNotFoundError:
        return ""
