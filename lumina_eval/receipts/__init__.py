"""Receipts: one file from which anybody derives a run's published numbers again, offline."""
