"""MLflow as a projection of the run folders: written after them, rebuilt from them, and read back by wish."""
