"""The eye: things and their attributes, from pixels alone."""
