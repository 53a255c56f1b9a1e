"""From rows of features to statistics and metrics: arithmetic alone, no images and no networks."""
