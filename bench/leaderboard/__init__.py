"""Leaderboards: who is better, by how much, how sure, at what cost. From Parquet alone."""

from bench.leaderboard.board import build_task
from bench.leaderboard.cells import TaskCells
from bench.leaderboard.claims import ClaimResult, answer_claims
from bench.leaderboard.load import load_tasks
from bench.leaderboard.render import render
from bench.leaderboard.request import Request
from bench.leaderboard.show import show
from bench.leaderboard.suite_board import build_overall
from bench.leaderboard.table import EntryRow, Estimate, SuiteBoard, TaskBoard
from bench.leaderboard.terminal import Leaderboard
from bench.results.find import find_results

__all__ = [
    "ClaimResult",
    "EntryRow",
    "Estimate",
    "Leaderboard",
    "Request",
    "SuiteBoard",
    "TaskBoard",
    "TaskCells",
    "answer_claims",
    "build_overall",
    "build_task",
    "find_results",
    "load_tasks",
    "render",
    "show",
]
