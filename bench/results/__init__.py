"""Results: long, typed Parquet tables with one atomic part per trial. Knows no YAML, no Ray, no torch."""
