"""Visual question answering: models that look at an image and answer a question about it."""
