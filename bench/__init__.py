"""The referee: suites, plans, runs, results, statistics and leaderboards."""
