"""Tabletop: a small drawn world, in which the right answer is known."""
