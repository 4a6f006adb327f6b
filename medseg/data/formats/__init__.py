"""Readers of data sets' layouts on disk; each is a `medseg.data.case.Reader`."""
