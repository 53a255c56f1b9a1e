"""A static leaderboard: many runs as a folder of pages for any web server, or for none."""
