"""Judges that benchmarks share: detectors, question answering, text-image similarity."""
