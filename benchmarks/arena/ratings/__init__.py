"""From votes to ratings: aggregation, solvers, intervals, ranks. Pure functions of arrays."""
