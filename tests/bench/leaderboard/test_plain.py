"""A leaderboard as CSV is safe to open in a spreadsheet."""

import csv
import io
from dataclasses import replace
from typing import Any

from bench.leaderboard.answer import answer
from bench.leaderboard.plain import boards_csv
from bench.leaderboard.request import Request


def test_spreadsheets_evaluate_no_cell_of_csv(world: Any) -> None:
    for model, quality in (("unet", 0.9), ("other", 0.7)):
        world.final(model, quality=quality)
    (board,) = answer(world.store, Request(resamples=100), "today").boards
    odd = replace(board, task="=1+1", rows=tuple(replace(row, entry=f"@{row.entry}") for row in board.rows))
    rows = list(csv.DictReader(io.StringIO(boards_csv([odd]))))
    assert [(row["task"], row["entry"][:2]) for row in rows] == [("'=1+1", "'@")] * 2
    assert float(rows[1]["difference"]) < 0
