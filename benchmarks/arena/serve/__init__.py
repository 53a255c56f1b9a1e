"""A place to vote: pages for voters, a box for their votes, signatures on each pair."""
