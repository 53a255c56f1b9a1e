"""Votes of other arenas, read into battles; published leaderboards, read as such. Nothing is unpickled."""
