"""Ending before the time: all processes of a trial do so at the same step, and alike; none waits for ever."""

from collections.abc import Callable

from medseg.errors import MedsegError
from medseg.training.outcome import InterruptedTrialError, PrunedError, TimeLimitError
from medseg.training.processes import Processes

# Where processes want to end for different reasons, the first of these it is.
ENDS: tuple[type[MedsegError], ...] = (TimeLimitError, PrunedError, InterruptedTrialError)


def wish_to_end(should_stop: Callable[[], bool], stopped: str) -> MedsegError | None:
    """Asks, in one process, whether to end.

    Args:
        should_stop: Says so, or raises one of `ENDS`.
        stopped: What to say of a trial that was stopped.

    Returns:
        Why to end; None: go on.
    """
    try:
        return InterruptedTrialError(stopped) if should_stop() else None
    except ENDS as error:
        return error


def agree(processes: Processes, wish: MedsegError | None, *also: bool) -> list[bool]:
    """Ends in all processes if one of them wants to; all must ask at the same time.

    Args:
        processes: Of the trial.
        wish: Why this one wants to end, if it does.
        *also: Flags that this process sets.

    Returns:
        Which of the flags are set in any process.

    Raises:
        MedsegError: One of `ENDS`, in all processes the same.
    """
    if processes.count == 1:
        if wish is not None:
            raise wish
        return list(also)
    flags = processes.any(*(isinstance(wish, kind) for kind in ENDS), *also)
    for kind, wanted in zip(ENDS, flags, strict=False):
        if wanted:
            raise wish if isinstance(wish, kind) else kind(f"another process of the trial: {_WORDS[kind]}")
    return flags[len(ENDS) :]


_WORDS = {TimeLimitError: "out of time", PrunedError: "pruned", InterruptedTrialError: "stopped"}
