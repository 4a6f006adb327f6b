"""Checks that a batch can be shared out among the processes of a trial."""

from collections.abc import Iterator

from pydantic import ValidationError

from bench.suite import resolve
from bench.suite.document import YamlPath
from bench.suite.findings import Finding
from bench.suite.resolve import Placed
from bench.suite.schema import ModelEntry, Suite

BATCH = "train.batch_size"


def check_processes(suite: Suite) -> Iterator[Finding]:
    """Yields batch sizes, set or searched, that are no multiple of a trial's processes."""
    try:
        all_of_them = [resolve.resources(suite, model).processes for model in suite.models]
        batches = [resolve.train_config(suite, model).batch_size for model in suite.models]
    except ValidationError:
        return
    for index, (model, batch) in enumerate(zip(suite.models, batches, strict=True)):
        # A study that searches among models has one kind of worker for all of them.
        processes = all_of_them[index] if "model" in suite.compare else max(all_of_them)
        if batch % processes:
            yield Finding(_place(suite, index, model), _say(processes, batch))
        for placed in _searched(suite, model):
            yield from _values(placed, processes)


def _place(suite: Suite, index: int, model: ModelEntry) -> YamlPath:
    if "batch_size" in model.train:
        return ("models", index, "train", "batch_size")
    if "processes" in model.resources:
        return ("models", index, "resources", "processes")
    return ("train", "batch_size") if "batch_size" in suite.train else ("resources", "processes")


def _searched(suite: Suite, model: ModelEntry) -> Iterator[Placed]:
    """Yields the search space of the batch size, as often as it is written for this model."""
    spaces = [resolve.effective_space(suite, model, loss) for loss in suite.losses]
    yield from {space[BATCH].path: space[BATCH] for space in spaces if BATCH in space}.values()


def _values(placed: Placed, processes: int) -> Iterator[Finding]:
    spec = placed.spec
    for position, choice in enumerate(spec.choices or ()):
        if isinstance(choice, int) and choice % processes:
            yield Finding((*placed.path, "choices", position), _say(processes, choice))
    if spec.choices is not None or processes == 1:
        return
    if spec.low is not None and spec.low % processes:
        yield Finding((*placed.path, "low"), _say(processes, spec.low))
    elif not spec.step or spec.step % processes:
        yield Finding(
            placed.path, f"{BATCH} must be searched in steps of a multiple of the {processes} processes"
        )


def _say(processes: int, batch: float) -> str:
    return f"{BATCH} must be a multiple of the {processes} processes of a trial, got {batch:g}"
