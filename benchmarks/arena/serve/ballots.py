"""The ballot box: pairs that were shown and votes that were cast, in SQLite.

A vote is on the disk before anyone is told that it counts (WAL, synchronous FULL), so no kill loses one that
was acknowledged. Each shown pair has a nonce and takes one vote. The view ``battles`` has the columns of
:class:`benchmarks.arena.battles.Battle`; ``lumina-eval arena votes`` writes it as JSON lines for
``lumina-eval arena rate``.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from benchmarks.arena.battles import Battle
from lumina_eval.errors import UserError

Choice = Literal["left", "right", "tie", "both_bad"]
CHOICES: Final[tuple[str, ...]] = get_args(Choice)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS voters (
    session TEXT PRIMARY KEY, name TEXT NOT NULL, category TEXT, joined REAL NOT NULL);
CREATE TABLE IF NOT EXISTS pairs (
    nonce TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES voters, matchup TEXT NOT NULL,
    turned INTEGER NOT NULL, model_left TEXT NOT NULL, model_right TEXT NOT NULL,
    prompt TEXT NOT NULL, category TEXT NOT NULL, shown REAL NOT NULL);
CREATE TABLE IF NOT EXISTS votes (
    nonce TEXT PRIMARY KEY REFERENCES pairs,
    choice TEXT NOT NULL CHECK (choice IN ('left', 'right', 'tie', 'both_bad')), cast_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS pairs_of_session ON pairs (session);
CREATE INDEX IF NOT EXISTS pairs_of_matchup ON pairs (matchup);
CREATE INDEX IF NOT EXISTS pairs_by_time ON pairs (shown);
CREATE VIEW IF NOT EXISTS battles AS
    SELECT model_left AS model_a, model_right AS model_b,
           CASE choice WHEN 'left' THEN 1.0 WHEN 'right' THEN 0.0 ELSE 0.5 END AS outcome,
           1.0 AS weight, prompt, voters.name AS voter, cast_at AS time, pairs.category AS category,
           'arena:' || choice AS source
    FROM votes JOIN pairs USING (nonce) JOIN voters USING (session) ORDER BY votes.rowid;
"""

NOT_VOTED_ON: Final = "NOT EXISTS (SELECT 1 FROM votes WHERE votes.nonce = pairs.nonce)"


@dataclass(frozen=True, slots=True)
class Voter:
    """Someone who votes, in one browser; ``category`` is the one that was asked for, None for all."""

    session: str
    name: str
    category: str | None


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A match-up as it was put before a voter; ``turned`` swaps the sides of the export."""

    nonce: str
    session: str
    matchup: str
    turned: bool


class BallotBox:
    """Reads and writes ``votes.sqlite``; safe to be called from several threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            # Transactions are begun by hand: a vote is checked and written in one.
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.execute("PRAGMA foreign_keys=ON")
            self._base.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"expected a database of votes, or none, found {error}, at {path}; "
                "fix: mend its permissions, or move it away"
            ) from error

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._base.close()

    def join(self, name: str, category: str | None) -> Voter:
        """Let someone in, in a session of their own."""
        voter = Voter(secrets.token_urlsafe(18), name, category)
        with self._writing() as base:
            row = (voter.session, voter.name, voter.category, time.time())
            base.execute("INSERT INTO voters VALUES (?, ?, ?, ?)", row)
        return voter

    def voter(self, session: str) -> Voter | None:
        """Return who has this session; None if it is not one of ours."""
        rows = self._rows("SELECT session, name, category FROM voters WHERE session = ?", session)
        return Voter(*rows[0]) if rows else None

    def show(
        self, voter: Voter, matchup: str, models: tuple[str, str], prompt: str, category: str
    ) -> ShownPair:
        """Note that a match-up goes before a voter; ``models`` are left and right of the export.

        Its sides are turned every other time that it is shown.
        """
        nonce = secrets.token_urlsafe(18)
        with self._writing() as base:
            before = base.execute("SELECT count(*) FROM pairs WHERE matchup = ?", (matchup,)).fetchone()[0]
            turned = before % 2 == 1
            left, right = models[::-1] if turned else models
            row = (nonce, voter.session, matchup, turned, left, right, prompt, category, time.time())
            base.execute("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return ShownPair(nonce, voter.session, matchup, turned)

    def pair(self, nonce: str) -> ShownPair | None:
        """Return the shown pair with this nonce."""
        rows = self._rows("SELECT nonce, session, matchup, turned FROM pairs WHERE nonce = ?", nonce)
        return _shown_pair(rows)

    def open_pair(self, voter: Voter) -> ShownPair | None:
        """Return the pair that this session was shown and has not voted on: a reload shows it again."""
        rows = self._rows(
            "SELECT nonce, session, matchup, turned FROM pairs WHERE session = ? "
            f"AND {NOT_VOTED_ON} ORDER BY rowid DESC LIMIT 1",
            voter.session,
        )
        return _shown_pair(rows)

    def cast(self, nonce: str, choice: str) -> bool:
        """Write a vote and wait until it is on the disk; False if this pair has one already."""
        with self._writing() as base:
            done = base.execute("INSERT OR IGNORE INTO votes VALUES (?, ?, ?)", (nonce, choice, time.time()))
            return done.rowcount == 1

    def seen(self, name: str) -> set[str]:
        """Return the match-ups that were shown to voters of this name."""
        query = "SELECT matchup FROM pairs JOIN voters USING (session) WHERE name = ?"
        return {row[0] for row in self._rows(query, name)}

    def cast_by(self, name: str) -> int:
        """Return how many votes voters of this name have cast."""
        query = (
            "SELECT count(*) FROM votes JOIN pairs USING (nonce) JOIN voters USING (session) WHERE name = ?"
        )
        return int(self._rows(query, name)[0][0])

    def times_shown(self) -> Counter[str]:
        """Return how often each match-up was shown."""
        return Counter(dict(self._rows("SELECT matchup, count(*) FROM pairs GROUP BY matchup")))

    def open_models(self, since: float) -> list[tuple[str, str]]:
        """Return the models of each pair shown since a time and not voted on yet."""
        query = f"SELECT model_left, model_right FROM pairs WHERE shown > ? AND {NOT_VOTED_ON}"
        return [(row[0], row[1]) for row in self._rows(query, since)]

    def tallies(self) -> list[tuple[str, str, float, int]]:
        """Return (left model, right model, wins of the left with ties half, votes) of each pair."""
        query = "SELECT model_a, model_b, sum(outcome), count(*) FROM battles GROUP BY model_a, model_b"
        return [(row[0], row[1], float(row[2]), int(row[3])) for row in self._rows(query)]

    def models(self) -> set[str]:
        """Return the models whose images were shown."""
        return {
            row[0] for row in self._rows("SELECT model_left FROM pairs UNION SELECT model_right FROM pairs")
        }

    def battles(self) -> list[Battle]:
        """Return all votes, in the order in which they were cast."""
        return [Battle(*row) for row in self._rows("SELECT * FROM battles")]

    def _rows(self, query: str, *values: str | float) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._base.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the one writer's place; what was written is on the disk when this ends."""
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:  # some errors have ended it already
                    self._base.execute("ROLLBACK")
                raise


def _shown_pair(rows: list[tuple[Any, ...]]) -> ShownPair | None:
    if not rows:
        return None
    nonce, session, matchup, turned = rows[0]
    return ShownPair(nonce, session, matchup, bool(turned))
