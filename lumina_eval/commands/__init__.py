"""The commands of ``lumina-eval``, a file for each group of them."""
