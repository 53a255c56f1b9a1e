"""Human arenas: votes read, models rated; match-ups exported, votes collected."""
