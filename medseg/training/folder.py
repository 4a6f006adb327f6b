"""Runs one trial in a folder of its own, without Ray: from a command line, a notebook or a debugger."""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from filelock import FileLock, Timeout

from medseg.data.cache import cache_dir
from medseg.errors import ConfigError
from medseg.training import launch
from medseg.training.averages import averages
from medseg.training.config import TrialSpec
from medseg.training.outcome import Epoch, Row, TimeLimitError, TrialResult, classify
from medseg.training.resolve import check_fold
from medseg.training.rows import (
    CURVES,
    RECORD_VERSION,
    RUNNING,
    TrialFolder,
    code_hash,
    first_difference,
    spec_hash,
    spec_tree,
)

if TYPE_CHECKING:
    from medseg.training.trial import TrialData

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
# A trial that ends so has said all there is to say; anything else is raised.
ENDINGS = ("interrupted", "diverged", "oom", "timeout")


def run_one(
    spec: TrialSpec,
    out: Path,
    root: Path | None = None,
    *,
    device: Device = "auto",
    timeout_s: float | None = None,
    keep_weights: bool = True,
    keep_predictions: bool = False,
    restart: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    watch: Callable[[Epoch], None] = lambda epoch: None,
    command: tuple[str, ...] = (),
) -> TrialResult:
    """Trains one trial and writes its rows; goes on where an earlier call stopped, or returns what is complete.

    Args:
        spec: The trial, e.g. from `make_spec`.
        out: Its folder: trial.json, cases.parquet, curves.parquet, weights, checkpoint.
        root: Folder of the data set; found by MEDSEG_DATA or generated where there is none.
        device: ``"auto"`` is a GPU where torch sees one.
        timeout_s: Longest that this call may train; a later one goes on.
        keep_weights: Keep the best weights.
        keep_predictions: Keep the predicted label maps.
        restart: Begin anew, whatever the folder holds.
        should_stop: Asked before every step; once true the trial saves itself and stops.
        watch: Told after every epoch.
        command: Command line, for trial.json.

    Returns:
        What the trial left; `status` is ``complete``, ``interrupted``, ``diverged``, ``oom`` or ``timeout``.

    Raises:
        ConfigError: If the folder holds another trial, or this one on other data or of other code.
        MedsegError: If the data, the model or a setting do not fit.
        OSError: If the disk is full or read-only.
        Exception: Whatever a trial raises that crashes; trial.json has a line of it.
    """
    from medseg.training.trial import TrialFiles, open_data, run_trial

    started = time.monotonic()
    folder, use_cpu = TrialFolder(out), _use_cpu(device)
    with _alone(folder):
        there = folder.read()
        earlier = None if restart else there
        if earlier is not None and earlier["spec_hash"] != spec_hash(spec):
            _refuse(folder, "another trial", first_difference(earlier["spec"], spec_tree(spec)))
        data = open_data(spec.task, root, cache_dir(), beside=Path.cwd())
        check_fold(spec, data.split)
        record = _record(spec, data, command)
        if earlier is not None:
            changed = first_difference(_origin(earlier), _origin(record))
            if changed:
                _refuse(folder, "this trial on other data", changed)
            if folder.is_complete(earlier):
                lost = (
                    "" if folder.predictions.exists() or not keep_predictions else " It kept no predictions."
                )
                return _again(folder, earlier, lost)
        if launch.rank() == 0:
            if earlier is None:
                folder.clear()
            else:
                _go_on(folder, earlier)
            folder.write_record(record)

        def ask() -> bool:
            if timeout_s is not None and time.monotonic() - started > timeout_s:
                raise TimeLimitError(f"the trial ran longer than {timeout_s:g} s")
            return should_stop()

        files = TrialFiles(
            checkpoint=folder.checkpoint,
            weights=folder.weights if keep_weights else None,
            predictions=folder.predictions if keep_predictions else None,
        )
        try:
            result = _run(run_trial(spec, data, files, ask, use_cpu), folder, record, watch)
            if launch.rank() == 0:
                files.forget(result.status)
            return result
        except ConfigError:
            # What cannot begin leaves nothing that would stand in the way of the mended command.
            if earlier is None and launch.rank() == 0:
                folder.record.unlink(missing_ok=True)
            raise


def _run(
    events: Generator[Epoch, None, TrialResult],
    folder: TrialFolder,
    record: Row,
    watch: Callable[[Epoch], None],
) -> TrialResult:
    seen: list[Row] = []
    try:
        result = _drain(events, seen, watch)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        status, detail = classify(error)
        before = folder.earlier_curves(seen[0]["epoch"]) if seen else folder.earlier_curves()
        result = TrialResult(status, detail, curves=before + seen)
        # A disk that is full must not hide that it is.
        with suppress(OSError):
            _write(folder, record, result)
        if status not in ENDINGS:
            raise
        return result
    _write(folder, record, result)
    return result


def _drain(
    events: Generator[Epoch, None, TrialResult], seen: list[Row], watch: Callable[[Epoch], None]
) -> TrialResult:
    while True:
        try:
            epoch = next(events)
        except StopIteration as end:
            result: TrialResult = end.value
            return result
        # A trial that ran out of memory goes over its last epochs again.
        seen[:] = [row for row in seen if row["epoch"] < epoch.epoch]
        seen.append({name: getattr(epoch, name) for name in CURVES})
        if launch.rank() == 0:
            watch(epoch)


def _write(folder: TrialFolder, record: Row, result: TrialResult) -> None:
    if launch.rank() == 0:
        outcome = {"status": result.status, "detail": result.detail, "summary": result.summary}
        scores = averages(result.cases, record["spec"]["task"]["empty_policy"])
        folder.write({**record, **outcome, "scores": scores}, result.cases, result.curves)


def _record(spec: TrialSpec, data: "TrialData", command: tuple[str, ...]) -> Row:
    return {
        "version": RECORD_VERSION,
        "status": RUNNING,
        "detail": "",
        "command": command,
        "code": code_hash(),
        "spec_hash": spec_hash(spec),
        "data": data.dataset.fingerprint,
        "split": data.split.hash,
        "root": str(data.dataset.root),
        "summary": {},
        "scores": [],
        "spec": spec_tree(spec),
    }


def _origin(record: Row) -> Row:
    return {key: record[key] for key in ("data", "split")}


def _again(folder: TrialFolder, earlier: Row, lost: str) -> TrialResult:
    made = "" if earlier["code"] == code_hash() else " It was made by other code of medseg."
    log.info("%s is complete already.%s%s --restart trains anew.", folder.root, made, lost)
    return folder.load(earlier)


def _go_on(folder: TrialFolder, earlier: Row) -> None:
    from medseg.training.checkpoint import load_state

    if not folder.checkpoint.exists():
        return
    if earlier["code"] != code_hash():
        message = "its checkpoint was made by other code of medseg; begin anew with --restart"
        raise ConfigError(str(folder.root), message)
    state = load_state(folder.checkpoint)
    if state is not None:
        log.info("%s: goes on from step %s", folder.root, state["progress"]["step"])


def _refuse(folder: TrialFolder, what: str, difference: str) -> NoReturn:
    text = f"holds {what} ({difference}); choose another --out, or begin anew with --restart"
    raise ConfigError(str(folder.root), text)


def _use_cpu(device: Device) -> bool:
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise ConfigError("device", f"cuda needs a GPU; torch {torch.__version__} sees none")
    return device == "cpu" or not found


@contextmanager
def _alone(folder: TrialFolder) -> Iterator[None]:
    """Keeps a second process of the same folder out; those of one trial belong together."""
    if launch.rank() != 0:
        yield
        return
    folder.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(str(folder.root), "another process is at work on this trial") from error
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            if list(folder.root.iterdir()) == [folder.lock]:
                folder.lock.unlink()
                folder.root.rmdir()
