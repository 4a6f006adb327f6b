"""Where results lie."""

from pathlib import Path

from bench.errors import ResultsError


def find_results(path: Path | None, results_root: Path) -> Path:
    """Returns the folder of a suite's results.

    Args:
        path: The folder, or its name within `results_root`; none takes the suite that got a trial last.
        results_root: Folder that holds a folder per suite.

    Raises:
        ResultsError: If there are no results.
    """
    if path is not None:
        for folder in (path, results_root / path):
            if (folder / "trials").is_dir():
                return folder
        known = sorted(folder.name for folder in _suites(results_root))
        hint = f"; {results_root} holds {', '.join(known)}" if known else ""
        raise ResultsError(f"{path}: no results there{hint}")
    found = {folder: _newest(folder) for folder in _suites(results_root)}
    if not found:
        raise ResultsError(f"no results in {results_root}; `bench run SUITE` makes some")
    return max(sorted(found), key=lambda folder: found[folder])


def _suites(root: Path) -> list[Path]:
    return [folder.parent for folder in root.glob("*/trials") if any(folder.glob("*.parquet"))]


def _newest(folder: Path) -> float:
    return max(part.stat().st_mtime for part in (folder / "trials").glob("*.parquet"))
