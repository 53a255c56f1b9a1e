"""The world: words, scenes, pictures of them, captions, splits and training sets."""
