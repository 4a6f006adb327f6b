"""What `bench claims` does: one call, one rendering. Imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.commands import make_console
from bench.errors import ResultsError

if TYPE_CHECKING:
    from bench.results.place import Place

UNDECIDED = 7


def claims_command(
    results: "Place | None",
    results_root: "Place",
    style: str,
    output: Path | None,
    check: bool,
    allow_late: bool = False,
) -> int:
    """Prints the answers to a run's claims; returns the exit code.

    Raises:
        ResultsError: If there are no results, they cannot be read, or nothing says what was claimed.
    """
    from bench.leaderboard.claim_sheet import claim_sheet
    from bench.leaderboard.load import load_tasks
    from bench.leaderboard.notes import changed_claims, notice
    from bench.leaderboard.publish import publish
    from bench.leaderboard.suite_claims import suite_claims
    from bench.plan.identity import code_fingerprint
    from bench.results.find import find_results
    from bench.results.store import SUITE_FILE, Store

    store = Store(find_results(results, results_root))
    suite = store.read_suite()
    if suite is None:
        raise ResultsError(
            f"{store.root / SUITE_FILE}: is missing, and with it what was claimed; put it back, or let "
            "`bench run SUITE` write it"
        )
    code = code_fingerprint()
    found = suite_claims(store, load_tasks(store, code=code), code)
    sheet, changed = claim_sheet(found), changed_claims(suite)
    lines = [*changed, *sheet.lines]
    data = {"suite": suite.get("suite"), "plan": suite.get("plan"), "claims": found, "lines": lines}
    publish([sheet], data, style, make_console(), output, notice(suite))
    if not check:
        return 0
    late = bool(changed) or any(claim.late for claim in found)
    return 1 if late and not allow_late else _exit_code({claim.answer for claim in found})


def _exit_code(answers: set[str]) -> int:
    if answers == {"supported"}:
        return 0
    return 1 if answers & {"refuted", "practically equivalent"} else UNDECIDED
