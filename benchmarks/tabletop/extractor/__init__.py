"""A small CLIP of the embedded world: pictures and captions in one space, for measures of whole sets."""
