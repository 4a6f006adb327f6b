"""What a run leaves of itself: a row of `runs`, one of `env`, and those of its studies."""

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any

from bench.errors import ResultsError
from bench.plan.plan import Plan
from bench.results.parts import DamagedError
from bench.results.store import Store
from bench.run.summary import Summary
from bench.run.surroundings import env_row

PACKAGE = "medseg-bench"
SEVERAL = " / "


@dataclass
class RunRecord:
    """Writes a run's rows: when its `with` block begins, and, with how it ended, when that ends.

    A run that is killed stays ``running``.

    Args:
        store: Of the results; its lock is held.
        plan: The whole plan.
        code: Fingerprint of today's code.
        command: What was typed, without paths.
        summary: How it went; to be set within the block.
        run: Its id.

    Raises:
        OSError: On entering, if results cannot be written.
        ResultsError: Likewise.
    """

    store: Store
    plan: Plan
    code: str
    command: str = ""
    summary: Summary | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    _row: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> "RunRecord":
        env = env_row(self.run)
        counts = ("planned", "ran", "complete", "pruned", "failed", "missing", "stale")
        self._row = {
            "run": self.run,
            "suite": self.plan.suite.suite,
            "plan": self.plan.hash,
            "command": self.command,
            "code": self.code,
            "version": _version(),
            "started_at": datetime.now(UTC),
            "end": "running",
            **dict.fromkeys(("finished_at", "exit_code", "detail", *counts)),
            "node": env["node"],
        }
        self.store.write_row("env", env)
        self.store.write_row("runs", self._row)
        known = self._known_studies()
        for row in study_rows(self.plan):
            if known.get(row["study"]) != row:
                self.store.write_row("studies", row)
        return self

    def _known_studies(self) -> dict[str, dict[str, Any]]:
        try:
            return {row["study"]: row for row in self.store.table("studies").to_pylist()}
        except DamagedError:
            # All of today's are written anew.
            return {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = {"end": "error", **_counts(self.summary), "finished_at": datetime.now(UTC)}
        if isinstance(error, KeyboardInterrupt):
            ended |= {"end": "interrupted", "exit_code": 130}
        elif error is not None:
            ended |= {
                "detail": str(error) or type(error).__name__,
                "exit_code": getattr(error, "exit_code", None),
            }
        # A store that went away must not hide why the run ended.
        with suppress(OSError, ResultsError):
            self.store.write_row("runs", self._row | ended)


def study_rows(plan: Plan) -> list[dict[str, Any]]:
    """Returns the rows of the table `studies`."""
    resolved = {study["id"]: study for study in plan.resolved()["studies"]}
    rows = []
    for study in plan.studies:
        known, data = resolved[study.id], plan.data[study.task.name]
        search = {
            "sampler": study.sampler.model_dump(mode="json"),
            "pruner": study.pruner.model_dump(mode="json"),
            "seed": study.seed,
            "fold": study.fold,
            "epochs": study.tune_epochs,
            "window": study.window,
            "constraints": dict(study.constraints),
        }
        values = {
            "models_json": known["models"],
            "losses_json": known["losses"],
            "space_json": known["space"],
            "budget_json": known["budget"],
            "search_json": search if study.budget is not None else None,
            "final_json": known["final"],
            "labels_json": list(study.task.labels),
        }
        rows.append(
            {
                "study": study.id,
                "suite": plan.suite.suite,
                "plan": plan.hash,
                "task": study.task.name,
                "entry": study.entry,
                "model": SEVERAL.join(choice.label for choice in study.models),
                "loss": SEVERAL.join(choice.label for choice in study.losses),
                **{name: json.dumps(value, sort_keys=True) for name, value in values.items()},
                "metric": study.task.selection_metric,
                "data": data.fingerprint,
                "split": data.split.hash,
            }
        )
    return rows


def _counts(summary: Summary | None) -> dict[str, Any]:
    if summary is None:
        return {}
    return {
        "end": summary.end or "done",
        "exit_code": summary.exit_code,
        "planned": summary.planned,
        "ran": summary.ran,
        "complete": summary.complete,
        "pruned": summary.pruned,
        "failed": sum(summary.failed.values()),
        "missing": summary.missing,
        "stale": summary.stale,
    }


def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return ""
