"""Leaderboards: who is better, by how much, how sure, at what cost. From Parquet alone."""

from bench.leaderboard.board import build, build_task
from bench.leaderboard.cells import TaskCells, load_tasks
from bench.leaderboard.claims import ClaimResult, answer_claims
from bench.leaderboard.render import render
from bench.leaderboard.show import show
from bench.leaderboard.table import EntryRow, Estimate, TaskBoard
from bench.leaderboard.terminal import Leaderboard
from bench.results.find import find_results

__all__ = [
    "ClaimResult",
    "EntryRow",
    "Estimate",
    "Leaderboard",
    "TaskBoard",
    "TaskCells",
    "answer_claims",
    "build",
    "build_task",
    "find_results",
    "load_tasks",
    "render",
    "show",
]
