"""Statistics over patients: pure functions on arrays and frames. Knows no YAML, no Ray, no torch."""
