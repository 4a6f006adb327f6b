"""What a trial that ended without a word about itself had done before."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from medseg.training.checkpoint_header import read_progress
from medseg.training.outcome import TrialResult


def with_so_far(result: TrialResult, checkpoint: Path, elapsed_s: float) -> tuple[TrialResult, float]:
    """Adds what its checkpoint knows: its curve, and the time of earlier attempts.

    Args:
        result: How it ended. One with a summary says all of that itself.
        checkpoint: The trial's; there may be none.
        elapsed_s: Seconds that the last attempt took.

    Returns:
        The result, and the seconds of all attempts.
    """
    progress = None if result.summary else read_progress(checkpoint)
    if progress is None:
        return result, elapsed_s
    since_s = elapsed_s
    with suppress(OSError):
        since_s = min(elapsed_s, max(0.0, time.time() - checkpoint.stat().st_mtime))
    return replace(result, curves=list(progress.curves)), max(elapsed_s, progress.elapsed_s + since_s)
