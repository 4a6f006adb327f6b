"""Scores folders of predictions, whoever made them, with the code that measures trials. Imports no torch."""
