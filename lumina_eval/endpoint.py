"""An OpenAI-style endpoint: one client, bounded retries, and error texts that never hold the key.

Each attempt ends after ``timeout`` seconds without an answer. What may pass by itself (no connection, no
answer, HTTP 408, 409, 429 and 5xx) is asked again after a pause that doubles, or as long as ``Retry-After``
says. The waiting ends at once when the endpoint is closed.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import tenacity

from lumina_eval.digests import canonical_json
from lumina_eval.errors import UserError

if TYPE_CHECKING:
    import openai

T = TypeVar("T")

#: Options that say how to ask, and change no answer.
OPTIONS: Final = ("key_env", "timeout", "retries", "concurrency")
KEY_ENV: Final = "OPENAI_API_KEY"
#: Seconds; image models of the large providers take up to about two minutes.
TIMEOUT: Final = 180.0
RETRIES: Final = 4
CONCURRENCY: Final = 4
#: First and longest pause before asking again, in seconds; the first doubles each time.
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
PASSING: Final = (408, 409, 429)
#: Largest result that is fetched, in bytes.
LARGEST_FILE: Final = 64 << 20
#: Classes of HTTP clients' errors before anything was sent, by name: which client openai takes changes with
#: its version.
UNSENT: Final = ("ConnectError", "ConnectTimeout", "ConnectionRefusedError")
#: Longest error text that is kept of what an endpoint says.
TEXT_LENGTH: Final = 300
#: Names under which a secret might be given by mistake; an option is written into records, a key never is.
SECRETS: Final = re.compile(r"key|token|secret|password|authorization", re.IGNORECASE)
#: Codes, and words of messages, by which endpoints say that a content policy forbids the answer.
REFUSAL_CODES: Final = ("content_policy_violation", "moderation_blocked", "content_filter", "contentfilter")
REFUSAL_WORDS: Final = ("content policy", "content management policy", "safety system", "moderation")


class EndpointError(Exception):
    """One request had no good end; the message says why, without the key."""


class RefusedError(EndpointError):
    """The endpoint refused for the sake of its content policy."""


class Endpoint:
    """Asks one endpoint; may be used from several threads."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        """Check the address and the options of :data:`OPTIONS`; nothing is sent.

        Raises UserError for an address that cannot be read or has a name, a password or a query in it, for a
        number out of range, and for ``key_env`` naming a variable that is not set.
        """
        self.url = _checked(url)
        self.concurrency = int(_number(options, "concurrency", CONCURRENCY, 1, 64))
        self._timeout = _number(options, "timeout", TIMEOUT, 0.1, 3600)
        self._retries = int(_number(options, "retries", RETRIES, 0, 20))
        self._key_env = options.get("key_env", KEY_ENV)
        self._key = os.environ.get(self._key_env, "")
        if not self._key and "key_env" in options:
            raise UserError(
                f"expected the key of {self.url} in the environment variable {self._key_env}, found it "
                f"unset; fix: export {self._key_env}=..."
            )
        self._closed = threading.Event()
        self._client: openai.OpenAI | None = None
        self._lock = threading.Lock()

    def ask(self, request: Callable[[openai.OpenAI], T]) -> T:
        """Return what ``request`` gets from the client, asking again where that may help.

        Raises RefusedError or EndpointError, and UserError where every request would fail alike: no access,
        no such address or model.
        """
        import openai

        try:
            return self._attempts()(request, self._opened())
        except openai.OpenAIError as error:
            raise self._explained(error) from None  # the cause may hold headers, and so the key
        except ValueError as error:  # the client takes what is neither text nor JSON for an answer
            raise EndpointError(f"no answer that can be read: {self.clean(str(error))}") from error

    def fetch(self, url: str) -> bytes:
        """Return what lies at an address that an answer names; the key is not sent there.

        Raises EndpointError without the address, which may itself be a secret, if it cannot be had.
        """
        import httpx

        def get() -> bytes:
            data = b""
            with httpx.stream("GET", url, timeout=self._timeout, follow_redirects=True) as response:
                response.raise_for_status()
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > LARGEST_FILE:
                        raise EndpointError(f"the result is larger than {LARGEST_FILE >> 20} MiB")
            return data

        try:
            return self._attempts()(get)
        except httpx.HTTPStatusError as error:
            raise EndpointError(f"the result's address says HTTP {error.response.status_code}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EndpointError(f"the result cannot be fetched: {type(error).__name__}") from None

    def _attempts(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._retries + 1) | tenacity.stop_when_event_set(self._closed),
            wait=_pause,
            retry=tenacity.retry_if_exception(_passes),
            sleep=tenacity.sleep_using_event(self._closed),
            reraise=True,
        )

    def close(self) -> None:
        """End all waiting and let the connections go; a request on its way may end in an error."""
        self._closed.set()
        if self._client is not None:
            self._client.close()

    def clean(self, text: str) -> str:
        """Return the first line of a text without the key, not too long."""
        if self._key:
            text = text.replace(self._key, "***")
        line = next(iter(text.strip().splitlines()), "")
        return line if len(line) <= TEXT_LENGTH else f"{line[:TEXT_LENGTH]}…"

    def _opened(self) -> openai.OpenAI:
        # openai looks whether httpx is there; one thread must not see it while another imports it.
        import httpx  # noqa: F401
        import openai

        with self._lock:
            if self._client is None:
                self._client = openai.OpenAI(
                    base_url=self.url,
                    api_key=self._key or "none",  # servers of one's own ask for none; the client insists
                    timeout=self._timeout,
                    max_retries=0,
                )
            return self._client

    def _explained(self, error: openai.OpenAIError) -> Exception:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return EndpointError(f"no answer from the endpoint within {self._timeout:g} seconds")
        if isinstance(error, openai.APIConnectionError):
            cause = error.__cause__ or error
            return EndpointError(f"the endpoint cannot be reached: {self.clean(str(cause))}")
        if not isinstance(error, openai.APIStatusError):
            return EndpointError(f"no answer that can be read: {self.clean(str(error))}")
        said = self.clean(_message(error))
        if _is_refusal(error):
            return RefusedError(f"refused by the endpoint: {said}")
        if error.status_code in (401, 403):
            return UserError(
                f"{self.url} gives no access (HTTP {error.status_code}: {said}); fix: put the key into the "
                f"environment variable {self._key_env}, or name another one with key_env=NAME"
            )
        if error.status_code in (404, 405):
            return UserError(
                f"{self.url} has no such address or model (HTTP {error.status_code}: {said}); "
                "fix: mend the URL (it mostly ends in /v1) or model=NAME"
            )
        return EndpointError(f"the endpoint says HTTP {error.status_code}: {said}")


def never_connected(error: BaseException) -> bool:
    """Tell whether ``error``, or what led to it, is that no connection was made: nothing was sent."""
    link: BaseException | None = error
    while link is not None:
        if type(link).__name__ in UNSENT:
            return True
        link = link.__cause__ or link.__context__
    return False


def no_secrets(options: Mapping[str, str]) -> None:
    """Refuse an option that looks like a secret: options are written into records."""
    for name in options:
        if SECRETS.search(name) and name not in (*OPTIONS, "max_tokens", "max_completion_tokens"):
            raise UserError(
                f"expected no secret among the options, found {name!r}: options are written into records; "
                f"fix: put the key into the environment variable {KEY_ENV}, or name another one with "
                "key_env=NAME"
            )


def body_fields(options: Mapping[str, str], own: Collection[str]) -> dict[str, Any]:
    """Return the options that are fields of the body: all but ``own``; a value is JSON, else a string."""
    return {name: _json_value(text) for name, text in options.items() if name not in own}


def _json_value(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=str)
        canonical_json(value)  # raises on a number that JSON cannot hold, such as 1e999
    except ValueError:
        return text
    return value


def _checked(url: str) -> str:
    import httpx

    shown = re.sub(r"//.*@", "//***@", url.partition("?")[0])  # a name and a password are not repeated
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        raise UserError(
            f"expected the address of an endpoint such as http://127.0.0.1:8000/v1, found {shown!r}, which "
            "cannot be read; fix: mend the address"
        ) from None  # the cause may hold the password
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(
            f"expected the address of an endpoint such as http://127.0.0.1:8000/v1, found {shown!r}; "
            "fix: begin it with http:// or https:// and a host"
        )
    if parts.username or parts.password or parts.query:
        raise UserError(
            f"expected an address without name, password and query, found one with, for {parts.hostname}: "
            f"addresses are written into records; fix: put the key into the environment variable {KEY_ENV}"
        )
    return url.rstrip("/")


def _number(options: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = options.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UserError(
            f"expected a number from {low:g} to {high:g} for {name}, found {text!r}; "
            "fix: give one, or leave it out"
        )
    return value


def _passes(error: BaseException) -> bool:
    import httpx
    import openai

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in PASSING or error.response.status_code >= 500
    if isinstance(error, openai.APIStatusError):
        passing = error.status_code in PASSING or error.status_code >= 500
        return passing and error.code != "insufficient_quota"
    return isinstance(error, openai.APIConnectionError | httpx.TransportError)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    if re.fullmatch(r"\d+(\.\d+)?", asked):
        return min(float(asked), LONGEST_PAUSE)
    whole = min(FIRST_PAUSE * 2.0 ** (state.attempt_number - 1), LONGEST_PAUSE)
    return whole * random.uniform(0.5, 1.0)  # many clients shall not come back together


def _message(error: openai.APIStatusError) -> str:
    body: Any = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return str(error.message)


def _is_refusal(error: openai.APIStatusError) -> bool:
    if error.status_code not in (400, 403, 422, 451):
        return False
    said = _message(error).lower()
    return str(error.code).lower() in REFUSAL_CODES or any(word in said for word in REFUSAL_WORDS)
