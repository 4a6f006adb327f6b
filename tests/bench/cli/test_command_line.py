"""What is kept of what was typed: no paths."""

import pytest

from bench.cli.command_line import command_line


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("run suites/quick.yaml", "bench run quick.yaml"),
        ("run /home/me/quick.yaml --limit 3 -v", "bench run quick.yaml --limit 3 -v"),
        (
            "run q.yaml --data acdc=/data/me/ACDC --only stale",
            "bench run q.yaml --data acdc=... --only stale",
        ),
        ("run q.yaml --data=acdc=here", "bench run q.yaml --data=acdc=..."),
        ("run q.yaml --results s3://key:secret@bucket/me", "bench run q.yaml --results ..."),
        ("run q.yaml --storage=mysql://me:secret@host/db", "bench run q.yaml --storage=..."),
        ("run q.yaml --address 10.0.0.5:6379", "bench run q.yaml --address ..."),
        (r"run C:\me\q.yaml", "bench run q.yaml"),
        ("run q.yaml --max-failures 50% --timeout=1e3", "bench run q.yaml --max-failures 50% --timeout=1e3"),
        ("", "bench"),
    ],
)
def test_paths_and_places_are_left_out(typed, kept):
    assert command_line(typed.split()) == kept
