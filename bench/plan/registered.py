"""When each claim of a suite was written down, as far as its results can tell."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from bench.plan.identity import digest
from bench.suite.schema import Claim

KEY = "registered"
"""Of a kept suite: by a claim's identity, its id and the time of the first run that had it."""


def claim_key(claim: Mapping[str, Any]) -> str:
    """Returns the identity of a claim of a kept suite: its hash. Another margin, side or task is another claim."""
    try:
        identity = Claim.model_validate(claim).identity()
    except ValidationError:
        # Another version wrote it: it is the same claim where it is written the same.
        identity = dict(claim)
    return digest(["claim", identity])


def with_registered(
    suite: Mapping[str, Any], earlier: Mapping[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """Says in a suite that is to be kept when each of its claims came first.

    What an earlier suite had and this one has not is kept, too: that a claim vanished, its answer known, is told.

    Args:
        suite: Resolved suite.
        earlier: What was kept before, if anything.
        now: The time, with its zone.
    """
    before = dict((earlier or {}).get(KEY, {}))
    # A claim that was kept before times were: nobody knows when it came.
    unknown = {claim_key(claim) for claim in (earlier or {}).get("claims", ())} - before.keys()
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    for claim in suite.get("claims", ()):
        key = claim_key(claim)
        if key not in before:
            before[key] = {"id": claim["id"], "at": None if key in unknown else at}
    return {**suite, KEY: before} if before else dict(suite)


def registered_at(suite: Mapping[str, Any], claim: Mapping[str, Any]) -> datetime | None:
    """Returns when a claim came first; none where nobody knows."""
    at = suite.get(KEY, {}).get(claim_key(claim), {}).get("at")
    return None if at is None else datetime.fromisoformat(at)


def withdrawn(suite: Mapping[str, Any]) -> Sequence[str]:
    """Returns the ids of claims that earlier runs had, as they were then, and this suite has not."""
    still = {claim_key(claim) for claim in suite.get("claims", ())}
    return [str(known["id"]) for key, known in suite.get(KEY, {}).items() if key not in still]
