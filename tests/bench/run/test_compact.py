"""Gathering at the end of a run: it never changes how the run ended."""

from pathlib import Path

import pyarrow as pa
import pytest

from bench.errors import ResultsError
from bench.results.compaction import Compacted
from bench.results.folder import Folder
from bench.run import compact as gathering
from bench.run.compact import compact_if_due


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pa.ArrowInvalid("odd"),
        pa.ArrowMemoryError("none left"),
        KeyboardInterrupt(),
        OSError(28, "full"),
        ResultsError("damaged"),
        KeyError("bug"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("step", ["is_due", "compact"])
def test_what_goes_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, step: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(gathering, "is_due", lambda place: True)
    monkeypatch.setattr(gathering, step, fail)
    said = compact_if_due(Folder(tmp_path))
    assert said.startswith("Results could not be gathered into fewer files (")
    assert (str(error) or type(error).__name__) in said


def test_what_is_damaged_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "is_due", lambda place: True)
    monkeypatch.setattr(
        gathering, "compact", lambda place, watch: Compacted(0, 0, ("a: damaged", "b: damaged"))
    )
    assert (
        compact_if_due(Folder(tmp_path))
        == "2 files could not be gathered (a: damaged); `bench compact` names them."
    )
    monkeypatch.setattr(gathering, "compact", lambda place, watch: Compacted(3, 1))
    assert compact_if_due(Folder(tmp_path)) == ""
