"""Figures of a leaderboard: one file each. None says more than the data; where they are too few it says so."""
