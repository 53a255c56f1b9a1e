"""The web application: a page to come in, a page to vote, a leaderboard, and the images.

A vote is an ordinary form; the script only lets keys press its buttons, so that the pages work without it.
Nothing that a voter gets names a model, except the leaderboard. One who votes could tell from its counts who
was behind the last pair, so its address has a key, which the owner of the arena is told.
"""

from __future__ import annotations

import hmac
import sqlite3
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from benchmarks.arena.serve.arena import Arena
from benchmarks.arena.serve.ballots import CHOICES, Voter
from benchmarks.arena.serve.pages import HEADERS, Pages
from benchmarks.arena.serve.signing import RefusedVoteError

#: Bytes of a form at most; ours have two hundred.
LONGEST_FORM: Final = 10_000
LONGEST_NAME: Final = 60
NO_SESSION: Final = "You are not known to this arena, so the vote does not count. Come in first."
NOT_WRITTEN: Final = "The arena could not write or read its votes, so nothing was counted. Try again."


def application(arena: Arena, hosts: list[str]) -> Starlette:
    """Return the application; requests for another host than ``hosts`` are refused (DNS rebinding)."""
    pages = Pages()

    def come_in(request: Request) -> Response:
        if voter_of(request) is not None:
            return to_vote()
        return pages.page("welcome", categories=arena.categories)

    async def join(request: Request) -> Response:
        form = await form_of(request)
        name, category = form.get("name", "").strip()[:LONGEST_NAME], form.get("category", "")
        if not name or not name.isprintable():
            return pages.page("welcome", 400, categories=arena.categories, error="Please give a name.")
        wanted = category if category in arena.categories else None
        voter = await run_in_threadpool(arena.box.join, name, wanted)
        answer = to_vote()
        answer.set_cookie(arena.signer.cookie_name(), voter.session, httponly=True, samesite="strict")
        return answer

    async def leave(request: Request) -> Response:
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(arena.signer.cookie_name(), httponly=True, samesite="strict")
        return answer

    def ballot(request: Request) -> Response:
        voter = voter_of(request)
        if voter is None:
            return RedirectResponse("/", 303)
        cast = arena.box.cast_by(voter.name)
        pair = arena.pair_for(voter)
        known: dict[str, Any] = {"voter": voter, "cast": cast, "goal": arena.goal}
        if pair is None:
            return pages.page("done", **known)
        one = arena.match_ups[pair.matchup]
        left, right = (one.right, one.left) if pair.turned else (one.left, one.right)
        ticket = arena.signer.ticket(pair)
        return pages.page("ballot", one=one, left=left, right=right, ticket=ticket, **known)

    async def cast(request: Request) -> Response:
        form = await form_of(request)
        try:
            await run_in_threadpool(count, voter_of(request), form.get("ticket", ""), form.get("choice", ""))
        except RefusedVoteError as refused:
            return pages.page("refused", refused.status, reason=refused.reason)
        return to_vote()

    def count(voter: Voter | None, ticket: str, choice: str) -> None:
        if voter is None:
            raise RefusedVoteError(403, NO_SESSION)
        pair = arena.signer.checked(ticket, voter.session, arena.box)
        if choice not in CHOICES:
            raise RefusedVoteError(400, f"Expected one of {', '.join(CHOICES)}; nothing was counted.")
        if not arena.box.cast(pair.nonce, choice):
            raise RefusedVoteError(409, "This pair has your vote already; it was counted once.")

    def board(request: Request) -> Response:
        from benchmarks.arena.serve.leaderboard import leaderboard  # scipy loads slowly; voters need none

        key = request.query_params.get("key", "")
        if not arena.open_leaderboard and not hmac.compare_digest(
            key.encode(), arena.signer.owner_key().encode()
        ):
            reason = (
                "The leaderboard names models, and one who votes could tell from its counts whose images the "
                "last pair were. It opens at the address that the server printed when it began."
            )
            return pages.page("refused", 403, reason=reason)
        category = request.query_params.get("category", "")
        wanted = category if category in arena.categories else None
        battles = [b for b in arena.box.battles() if wanted in (None, b.category)]
        shown = leaderboard(battles, [c.name for c in arena.manifest.contenders])
        return pages.page("leaderboard", board=shown, categories=arena.categories, category=wanted, key=key)

    def image(request: Request) -> Response:
        path = arena.images.get(request.path_params["name"])
        if path is None:
            return pages.page("refused", 404, reason="There is no such image.")
        headers = {**HEADERS, "Cache-Control": "private, max-age=3600"}
        return Response(path.read_bytes(), media_type="image/png", headers=headers)

    def static(request: Request) -> Response:
        return pages.static(request.path_params["name"])

    def voter_of(request: Request) -> Voter | None:
        session = request.cookies.get(arena.signer.cookie_name())
        return arena.box.voter(session) if session else None

    routes = [
        Route("/", come_in),
        Route("/join", join, methods=["POST"]),
        Route("/leave", leave, methods=["POST"]),
        Route("/vote", ballot),
        Route("/vote", cast, methods=["POST"]),
        Route("/leaderboard", board),
        Route("/images/{name}", image),
        Route("/static/{name}", static),
    ]

    def not_written(request: Request, error: Exception) -> Response:
        return pages.page("refused", 503, reason=f"{NOT_WRITTEN} ({error})")

    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return Starlette(routes=routes, middleware=[trusted], exception_handlers={sqlite3.Error: not_written})


def to_vote() -> RedirectResponse:
    """Send a browser on to the next pair."""
    return RedirectResponse("/vote", 303)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, the first value of each; of one that is too long, none."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_FORM:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
