"""A vision-language model behind an OpenAI-compatible chat endpoint, such as a vLLM server.

Each question goes out alone, with a pinned prompt, temperature 0 and few tokens. A reply that is neither yes
nor no is asked for again; if none comes, the question has no answer. Every answer is kept in a cache.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from PIL import Image

from benchmarks.judges.vqa.answer_cache import AnswerCache, default_folder, image_sha256
from benchmarks.judges.vqa.answering import Answer, Decision, UnansweredError, check_aligned
from benchmarks.judges.vqa.prompt import PROMPT, prompt_of
from lumina_eval.digests import digest_of
from lumina_eval.endpoint import Endpoint, EndpointError
from lumina_eval.errors import UserError, unknown

if TYPE_CHECKING:
    import openai

#: Raised whenever the same model and settings give other answers.
VERSION: Final = 1
#: Enough for "Yes, ..."; what follows the first word is not read.
MAX_TOKENS: Final = 8
#: How often a reply that is neither yes nor no is asked for again.
RUBBISH_RETRIES: Final = 2

#: Words of an error by which nobody is there at all; to go on asking would be no use.
UNREACHABLE: Final = "cannot be reached"

#: An image's sha256 and a question.
Key = tuple[str, str]
Choice = Literal["structured_outputs", "guided_choice", "none"]
#: What a server must be sent to reply yes or no and nothing else: vLLM since 0.11, vLLM before; others have
#: no such thing.
CHOICES: Final[Mapping[Choice, Mapping[str, Any]]] = {
    "structured_outputs": {"structured_outputs": {"choice": ["yes", "no"]}},
    "guided_choice": {"guided_choice": ["yes", "no"]},
    "none": {},
}


class EndpointAnswerer:
    """Asks a server; the answer's text is its reply, the decision the yes or no that it begins with."""

    name = "endpoint"

    def __init__(
        self,
        url: str,
        model: str,
        choice: str = "structured_outputs",
        options: Mapping[str, str] | None = None,
        cache: Path | None = None,
        revision: str = "",
    ) -> None:
        """Check address and options (those of :class:`lumina_eval.endpoint.Endpoint`); nothing is sent.

        ``revision`` is what the user declares the server's model to be; judges and kept answers differ by it.

        Raises UserError for an address or a model that is not given, or a choice that there is not.
        """
        if not url or not model:
            raise UserError(
                f"expected an address and a model for the answerer endpoint, found {url!r} and {model!r}; "
                "fix: --set judge.url=http://127.0.0.1:8000/v1 --set judge.model=NAME"
            )
        if choice not in CHOICES:
            raise unknown("judge.choice", choice, CHOICES)
        self._endpoint = Endpoint(url, options or {})
        self._model, self._revision = model, revision
        self._extra = dict(CHOICES[choice])  # type: ignore[index]
        asking = {
            "version": VERSION, "prompt": digest_of(PROMPT), "model": model, "revision": revision,
            "choice": choice, "max_tokens": MAX_TOKENS,
        }  # fmt: skip
        self._cache = AnswerCache(cache or default_folder(), asking)
        self._choice = choice

    @property
    def digest(self) -> str:
        """Sha256 of model name, its declared revision, prompt and version of this file.

        The weights only the server knows.
        """
        return digest_of({
            "answerer": self.name, "version": VERSION, "model": self._model, "revision": self._revision,
            "prompt": PROMPT,
        })  # fmt: skip

    @property
    def settings(self) -> Mapping[str, Any]:
        """What every request holds; the address changes no answer."""
        return {
            "model": self._model, "revision": self._revision, "prompt": PROMPT, "choice": self._choice,
            "temperature": 0, "max_tokens": MAX_TOKENS,
        }  # fmt: skip

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        """Return the answers, several questions at once on their way.

        Raises :class:`UnansweredError` if some have none after all retries, and UserError where the server
        gives no access or answers nobody.
        """
        check_aligned(images, questions)
        digests = {id(image): image_sha256(image) for image in {id(one): one for one in images}.values()}
        keys = [(digests[id(image)], text) for image, text in zip(images, questions, strict=True)]
        found = {key: self._cache.get(*key) for key in keys}
        lacking = [key for key, answer in found.items() if answer is None]
        wanted = {sha256 for sha256, _ in lacking}
        pictures = {digests[id(image)]: image for image in images}
        urls = {sha256: data_url(pictures[sha256]) for sha256 in wanted}
        why: dict[Key, str] = {}

        def ask(key: Key) -> None:
            sha256, question = key
            try:
                answer = self._ask(urls[sha256], question)
            except EndpointError as error:
                why[key] = str(error)
                return
            self._cache.put(sha256, question, answer)
            found[key] = answer

        at_once(ask, lacking, self._endpoint)
        if why and len(why) == len(lacking) and all(UNREACHABLE in text for text in why.values()):
            raise UserError(
                f"expected answers from {self._endpoint.url}, found none: {why[lacking[0]]}; fix: start the "
                "server, or mend judge.url; the answers that there are are kept"
            )
        if why:
            reasons = {place: why[key] for place, key in enumerate(keys) if key in why}
            raise UnansweredError([found[key] for key in keys], reasons)
        return [answer for answer in (found[key] for key in keys) if answer is not None]

    def _ask(self, url: str, question: str) -> Answer:
        """Ask one question until the reply is yes or no; EndpointError if it never is."""
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": prompt_of(question)},
        ]

        def request(client: openai.OpenAI) -> Any:
            messages: Any = [{"role": "user", "content": content}]
            return client.chat.completions.create(
                model=self._model, messages=messages, temperature=0, max_tokens=MAX_TOKENS,
                extra_body=self._extra or None,
            )  # fmt: skip

        said: list[str] = []
        for _ in range(RUBBISH_RETRIES + 1):
            reply = self._endpoint.ask(request)
            text = _text(reply)
            decision = decision_of(text)
            if decision is not None:
                return Answer(text, decision=decision)
            said.append(text)
        raise EndpointError(f"expected yes or no, found {said[-1][:60]!r}, asked {len(said)} times")


def at_once(ask: Callable[[Key], None], keys: Sequence[Key], endpoint: Endpoint) -> None:
    """Call ``ask`` for each key on as many threads as the endpoint takes requests.

    The first exception ends it and is raised after the answers under way, which were paid for; an
    interruption closes the endpoint and waits for none.
    """
    pool = ThreadPoolExecutor(endpoint.concurrency, "vqa")
    jobs = [pool.submit(ask, key) for key in keys]
    try:
        for job in jobs:
            job.result()
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        endpoint.close()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def decision_of(text: str) -> Decision | None:
    """Return the yes or no that a reply is, whatever its case and final full stop; None if it is neither.

    >>> decision_of(" Yes."), decision_of("No, it is not"), decision_of("Nothing")
    ('yes', 'no', None)
    """
    word = text.strip().lower().split(",")[0].rstrip(".! ")
    return "yes" if word == "yes" else "no" if word == "no" else None


def data_url(image: Image.Image) -> str:
    """Return an image as a PNG within an address."""
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _text(reply: Any) -> str:
    """Return the words of a reply; "" where a server sends none, or another form."""
    try:
        text = reply.choices[0].message.content
    except (AttributeError, IndexError, TypeError):
        return ""
    return text if isinstance(text, str) else ""
