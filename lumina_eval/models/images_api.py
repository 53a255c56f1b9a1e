"""``images-api:URL``: an image model behind an OpenAI-style endpoint (``POST URL/images/generations``).

Options (``--option KEY=VALUE``): ``model`` (the name that the endpoint knows), ``revision`` (what you declare
it to be, part of the image key), ``max_cost`` and ``cost_per_image`` in USD, and those of
:data:`lumina_eval.endpoint.OPTIONS`. Every other one, such as ``size`` or ``quality``, is a field of the
request's body and so part of the sampling. The key comes from the environment and is written nowhere.

Such endpoints take no seed: the sampling says ``seeded: false``, and the same image cannot be made twice. One
request makes one image. What was refused or failed has no image, and the same command asks for it again.
"""

from __future__ import annotations

import base64
import concurrent.futures
import dataclasses
import functools
import io
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

from PIL import Image

from lumina_eval import endpoint
from lumina_eval.digests import digest_of
from lumina_eval.endpoint import Endpoint, EndpointError, RefusedError
from lumina_eval.errors import UserError, is_user_error
from lumina_eval.models.budget import Budget, CapReachedError
from lumina_eval.plugins import Model

if TYPE_CHECKING:
    import openai

PATH: Final = "/images/generations"
OWN: Final = ("device", "model", "revision", "max_cost", "cost_per_image", *endpoint.OPTIONS)
#: Fields of the body that are not the user's: one request is one image of one prompt, answered whole.
FIXED: Final = ("prompt", "n", "stream", "partial_images", "seed")
#: So many requests without a good end one after the other, and no further one is made.
GIVE_UP: Final = 8


def open_models(spec: str, options: Mapping[str, str]) -> list[Model]:
    """Return the endpoint as the only model; nothing is sent yet."""
    if not spec:
        raise UserError(
            "expected --model images-api:URL, found no address; fix: --model images-api:http://…/v1"
        )
    return [ImagesApiModel(spec.rstrip("/").removesuffix(PATH), options)]


class ImagesApiModel:
    """One model of one endpoint."""

    stage: str | None = None
    step: int | None = None
    device = "endpoint"
    sampler_version = 1

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        if not options.get("model"):
            raise UserError(
                f"expected the name of the model, found none, for images-api:{url}; "
                "fix: add --option model=NAME"
            )
        endpoint.no_secrets(options)
        for name in FIXED:
            if name in options:
                raise UserError(
                    f"expected no --option {name} for images-api: it is set for each image; fix: leave it out"
                )
        self._endpoint = Endpoint(url, options)
        self._revision = options.get("revision")
        self._fields = endpoint.body_fields(options, OWN)
        self._budget = Budget(options)
        self.name = options["model"]
        self.checkpoint = f"{self._endpoint.url} {self.name}" + (
            f"@{self._revision}" if self._revision else ""
        )
        self.cost_per_image = self._budget.price

    def components(self) -> Mapping[str, str]:
        """Return a digest of the model's name and declared revision: nothing else is known of its weights."""
        return {"endpoint": digest_of([self.name, self._revision])}

    def sampling(self) -> Mapping[str, Any]:
        """Return the fields of the body, and that no seed is sent."""
        return {"seeded": False, **self._fields}

    def environment(self) -> Mapping[str, Any]:
        """Return where the images came from, and by which client."""
        return {"endpoint": self._endpoint.url, "openai": version("openai")}

    def final_text(self, prompt: str) -> str:
        """Return the prompt as it is sent."""
        return prompt

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image | Exception | None]:
        """Ask for one image per prompt; the seeds only tell images of one prompt apart in the store."""
        found = dict(self.generate_each(prompts, seeds))
        return [found[place] for place in range(len(prompts))]

    def generate_each(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> Iterator[tuple[int, Image.Image | Exception]]:
        """Yield image or reason with its place as each answer comes, a bounded number of requests at a time.

        Raises UserError where every request would fail alike, after the answers under way have been yielded.
        """
        patience = _Patience()
        waiting = iter(enumerate(prompts))
        running: dict[concurrent.futures.Future[Image.Image], int] = {}
        fatal: Exception | None = None
        pool = concurrent.futures.ThreadPoolExecutor(self._endpoint.concurrency, "images-api")
        try:
            while True:
                while fatal is None and len(running) < self._endpoint.concurrency:
                    place, prompt = next(waiting, (-1, ""))
                    if place < 0:
                        break
                    running[pool.submit(self._image, prompt, patience)] = place
                if not running:
                    break
                done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    place, error = running.pop(future), future.exception()
                    if error is None:
                        yield place, future.result()
                    elif not isinstance(error, Exception):
                        raise error
                    elif is_user_error(error):
                        fatal = error
                    else:
                        yield place, error
            if fatal is not None:
                raise fatal
        finally:
            if running:  # interrupted: what is under way is let go of
                self._endpoint.close()
            pool.shutdown(wait=not running, cancel_futures=True)

    def _image(self, prompt: str, patience: _Patience) -> Image.Image:
        patience.check()
        try:
            answer = self._endpoint.ask(functools.partial(self._request, prompt))
            image = self._picture(answer)
        except RefusedError:
            patience.answered()
            raise
        except CapReachedError:
            raise
        except EndpointError as error:
            patience.failed(str(error))
            raise
        patience.answered()
        return image

    def _request(self, prompt: str, client: openai.OpenAI) -> openai.types.ImagesResponse:
        """Pay and ask; an error status costs nothing, a lost answer may have cost its price."""
        import openai

        self._budget.pay()
        try:
            return client.images.generate(prompt=prompt, model=self.name, n=1, extra_body=dict(self._fields))
        except openai.APIStatusError:
            self._budget.give_back()
            raise
        except openai.APIConnectionError as error:
            if endpoint.never_connected(error):
                self._budget.give_back()
            raise

    def _picture(self, answer: openai.types.ImagesResponse) -> Image.Image:
        # The client checks no types, and hands on as plain text what is no JSON.
        data = getattr(answer, "data", None)
        first = data[0] if isinstance(data, list) and data else None
        text, url = getattr(first, "b64_json", None), getattr(first, "url", None)
        if not isinstance(text, str) or not text:
            if not isinstance(url, str) or not url:
                raise EndpointError("the endpoint's answer holds no image")
            if not url.startswith("data:"):
                return _decoded(self._fetched(url))
            text = url.partition(",")[2]
        try:
            return _decoded(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise EndpointError("the endpoint's answer holds an image that is no base64") from error

    def _fetched(self, url: str) -> bytes:
        """Return what lies at the address of a result; the key is not sent there."""
        return self._endpoint.fetch(urljoin(f"{self._endpoint.url}/", url))


@dataclasses.dataclass
class _Patience:
    """Ends a run against an endpoint that does not work."""

    in_a_row: int = 0
    last: str = ""

    def check(self) -> None:
        if self.in_a_row >= GIVE_UP:
            raise EndpointError(
                f"not asked for: {GIVE_UP} requests in a row had no good end, the last: {self.last}"
            )

    def answered(self) -> None:
        if self.in_a_row < GIVE_UP:
            self.in_a_row = 0

    def failed(self, why: str) -> None:
        if self.in_a_row < GIVE_UP:
            self.in_a_row, self.last = self.in_a_row + 1, why


def _decoded(data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise EndpointError("the endpoint's answer holds an image that cannot be read") from error
