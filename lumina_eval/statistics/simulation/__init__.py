"""The statistics put to the proof: worlds whose truth is known, drawn ten thousand times.

``python -m lumina_eval.statistics.simulation`` prints the tables of ``docs/statistics.md``.
"""
