"""``--rewrite endpoint:URL``: a language model behind an OpenAI-style endpoint (``URL/chat/completions``).

Options (``--rewrite-option KEY=VALUE``): ``model``, ``template`` (a file), ``revision``, and those of
:data:`lumina_eval.endpoint.OPTIONS`; every other one, such as ``max_tokens``, is a field of the body. The
temperature is 0 where nothing is said. Model name, revision, template and fields name the texts; the address
does not.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any, Final, Literal

from lumina_eval import endpoint
from lumina_eval.endpoint import Endpoint, EndpointError
from lumina_eval.errors import UserError
from lumina_eval.rewriters.template import read_template
from lumina_eval.rewriting import no_text

if TYPE_CHECKING:
    import openai

PATH: Final = "/chat/completions"
OWN: Final = ("model", "template", "revision", *endpoint.OPTIONS)
#: Fields of the body that are not the user's: one request is one prompt, answered once and whole.
FIXED: Final = ("messages", "n", "stream")


class EndpointRewriter:
    """Asks the language model for each prompt alone."""

    source: Literal["endpoint"] = "endpoint"

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        if not options.get("model"):
            raise UserError(
                f"expected the name of the language model, found none, for --rewrite endpoint:{url}; "
                "fix: add --rewrite-option model=NAME"
            )
        endpoint.no_secrets(options)
        for name in FIXED:
            if name in options:
                raise UserError(f"expected no --rewrite-option {name}, found one; fix: leave it out")
        self._template = read_template(options, f"endpoint:{url}")
        self._endpoint = Endpoint(url.rstrip("/").removesuffix(PATH), options)
        self._model = options["model"]
        self._fields = {"temperature": 0, **endpoint.body_fields(options, OWN)}
        revision = options.get("revision")
        self.name = f"{self._model}@{revision}" if revision else self._model
        self.template: str | None = self._template.digest
        self.settings: Mapping[str, Any] = {"model": self._model, "revision": revision, **self._fields}

    def rewrite(self, prompts: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield the texts as they come; the first prompt without one is a UserError after the others."""
        wrong: Exception | None = None
        with ThreadPoolExecutor(self._endpoint.concurrency, "rewrite") as pool:
            asked = {pool.submit(self._text, prompt): prompt for prompt in prompts}
            try:
                for future in as_completed(asked):
                    if future.cancelled():
                        continue
                    error = future.exception()
                    if error is None:
                        yield asked[future], future.result()
                    elif not isinstance(error, Exception):
                        raise error
                    elif wrong is None:
                        wrong = error
                        for other in asked:
                            other.cancel()
            except BaseException:  # interrupted: nobody waits for what is under way
                self._endpoint.close()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if wrong is not None:
            raise wrong

    def _text(self, prompt: str) -> str:
        again = "run the same command again, what came is kept; or give the texts with --rewrite FILE.jsonl"
        try:
            answer = self._endpoint.ask(functools.partial(self._request, prompt))
        except EndpointError as error:
            raise no_text(prompt, str(error), again) from error
        # The client checks no types, and hands on as plain text what is no JSON.
        choices = getattr(answer, "choices", None)
        first = choices[0] if isinstance(choices, list) and choices else None
        if first is None:
            raise no_text(prompt, "an answer without a choice", again)
        why = getattr(first, "finish_reason", None)
        if why == "length":
            raise no_text(prompt, "one that was cut off", "add --rewrite-option max_tokens=NUMBER")
        text = getattr(getattr(first, "message", None), "content", None)
        if not isinstance(text, str) or not text.strip():
            raise no_text(prompt, f"none ({why})", again)
        return text.strip()

    def _request(self, prompt: str, client: openai.OpenAI) -> Any:
        return client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": self._template.filled(prompt)}],
            extra_body=self._fields,
        )
