"""Signatures: a vote counts for a pair that this server showed to this voter, and for no other."""

from __future__ import annotations

import hashlib
import hmac

from benchmarks.arena.serve.ballots import BallotBox, ShownPair


class RefusedVoteError(Exception):
    """A vote that does not count; the text says why, to the voter."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Signer:
    """Signs with the secret of the arena, which stands in its manifest and nowhere else."""

    def __init__(self, secret: str) -> None:
        self._key = bytes.fromhex(secret)

    def ticket(self, pair: ShownPair) -> str:
        """Return what a voting form carries: the nonce, and its signature for this pair and session."""
        return f"{pair.nonce}.{self._sign('vote', pair.nonce, pair.session, pair.matchup, str(pair.turned))}"

    def checked(self, ticket: str, session: str, box: BallotBox) -> ShownPair:
        """Return the pair of a ticket; raise :class:`RefusedVoteError` if it is not this session's."""
        pair = box.pair(ticket.partition(".")[0])
        if pair is None or not hmac.compare_digest(self.ticket(pair).encode(), ticket.encode()):
            raise RefusedVoteError(403, "This vote was not signed by this arena, so it does not count.")
        if pair.session != session:
            raise RefusedVoteError(403, "This pair was shown to another voter, so the vote does not count.")
        return pair

    def owner_key(self) -> str:
        """Return the key of the leaderboard's address."""
        return self._sign("leaderboard")[:32]

    def cookie_name(self) -> str:
        """Return a name of the cookie that other arenas on the same machine do not use."""
        return f"arena_{self._sign('cookie')[:8]}"

    def _sign(self, *words: str) -> str:
        return hmac.new(self._key, "\0".join(words).encode(), hashlib.sha256).hexdigest()
