"""Who holds the results: a process, named so that a person finds it and another process can tell if it is dead."""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def myself() -> dict[str, Any]:
    """Returns this process, as JSON holds it."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
    }


def describe(text: str) -> str:
    """Returns a holder, as it was written down, in words."""
    held = _read(text)
    try:
        return f"process {held['pid']} on {held['host']} since {held['started_at']}"
    except KeyError:
        return "just started"


def is_dead(text: str) -> bool:
    """Says whether a holder, as it was written down, has surely ended; one on another machine cannot be asked."""
    held = _read(text)
    machine, pid = held.get("machine"), held.get("pid")
    if not machine or machine != _machine() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _read(text: str) -> dict[str, Any]:
    try:
        held = json.loads(text)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _machine() -> str:
    """Returns what two processes share that see each other's numbers; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
