"""Efficiency: what an image costs, and never without what it is worth."""
