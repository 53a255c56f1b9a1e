"""The trial of the eye: pictures whose truth is known, minimal edits of them, and what it makes of both."""
