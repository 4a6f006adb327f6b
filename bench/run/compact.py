"""Gathers results at the end of a command that made some."""

from bench.results.compaction import Watch, compact, is_due
from bench.results.place import Place
from bench.words import plural


def compact_if_due(place: Place, watch: Watch = lambda done, total: None) -> str:
    """Gathers the parts of trials if there are many, or if something that was gathered has been replaced.

    Hold the `RunLock`.

    Args:
        place: Of the results.
        watch: See `compact`.

    Returns:
        What went wrong, in words, also if it was interrupted; nothing is lost by it. Empty if nothing did.
    """
    try:
        skipped = compact(place, watch).skipped if is_due(place) else ()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is
        # Whatever it is: how the command ended was decided before.
        reason = str(error) or type(error).__name__
        return f"Results could not be gathered into fewer files ({reason}); `bench compact` tries again."
    if skipped:
        return f"{plural(len(skipped), 'file')} could not be gathered ({skipped[0]}); `bench compact` names them."
    return ""
