"""A headless Chromium for tests, driven over a pipe: the DevTools protocol, with no package in between."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

FOUND: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: The pipe's ends in the browser: it reads commands from 3 and writes to 4 (--remote-debugging-pipe).
READS, WRITES = 3, 4
#: Gives the pipes these numbers in a process that has nothing else open, and becomes the browser.
LAY_PIPES: Final = f"""
import os, sys
os.dup2(int(sys.argv[1]), {READS})
os.dup2(int(sys.argv[2]), {WRITES})
os.execv(sys.argv[3], sys.argv[3:])
"""
#: Key name to (code, text) of the keys that are pressed.
KEYS: Final = {
    "ArrowLeft": ("ArrowLeft", ""),
    "ArrowRight": ("ArrowRight", ""),
    " ": ("Space", " "),
    "b": ("KeyB", "b"),
    "Enter": ("Enter", "\r"),
    "ArrowUp": ("ArrowUp", ""),
    "ArrowDown": ("ArrowDown", ""),
    "End": ("End", ""),
    "Escape": ("Escape", ""),
    "Tab": ("Tab", ""),
}
#: What Windows calls a key: where a key does something by itself, the browser goes by this number.
NUMBERS: Final = {"Enter": 13, "Escape": 27, " ": 32, "Tab": 9, "End": 35, "ArrowUp": 38, "ArrowDown": 40}


class Chromium:
    """One browser process; commands are answered in order."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = os.fdopen(to_browser, "wb", buffering=0), os.fdopen(from_browser, "rb")
        self._number, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come in between are kept for their page."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            if "method" in answer:
                self.events.append(answer)

    def page(self) -> Page:
        """Open a page in a profile of its own, with its own cookies."""
        profile = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", url="about:blank", browserContextId=profile)["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = self._in.read1(1 << 16)  # type: ignore[attr-defined]
            if not piece:
                raise RuntimeError("the browser has gone")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))


class Page:
    """One page; waits are for a state of the page, and give up after a minute."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session

    def go(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        self._send("Page.navigate", url=address)
        self.wait(f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'")

    def watch(self) -> None:
        """From now on, note what the page says on its console, throws and asks of a network."""
        for domain in ("Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def noted(self) -> list[str]:
        """Return console messages, exceptions and requested addresses other than the page's own data."""
        self.evaluate("1")  # what has happened is told before this is answered
        found = []
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            told, method = event["params"], event["method"]
            if method == "Runtime.consoleAPICalled":
                found.append(f"console.{told['type']}: {[one.get('value') for one in told['args']]}")
            elif method == "Runtime.exceptionThrown":
                found.append(f"exception: {told['exceptionDetails']}")
            elif method == "Log.entryAdded":
                found.append(f"log: {told['entry']['text']}")
            elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith("data:"):
                found.append(f"request: {told['request']['url']}")
        return found

    def look(self, width: int, height: int, *, dark: bool = False, media: str = "") -> None:
        """Give the window a size in pixels, a light or dark scheme, and a medium such as ``print``."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def without_script(self) -> None:
        """Open pages without JavaScript from now on."""
        self._send("Emulation.setScriptExecutionDisabled", value=True)

    def picture(self, *, whole: bool = False) -> bytes:
        """Return the window, or the whole page, as PNG."""
        answer = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def point(self, selector: str, number: int = 0) -> None:
        """Move the mouse to the middle of an element; ``number`` counts those that the selector finds."""
        x, y = self._middle(selector, number)
        for at in (x - 1, x):  # to come is no movement yet
            self._send("Input.dispatchMouseEvent", type="mouseMoved", x=at, y=y)

    def drag(self, selector: str, right: int) -> None:
        """Press the mouse in the middle of an element and draw it ``right`` pixels."""
        x, y = self._middle(selector, 0)
        for kind, at in (
            ("mousePressed", x),
            ("mouseMoved", x + right / 2),
            ("mouseMoved", x + right),
            ("mouseReleased", x + right),
        ):
            self._send(
                "Input.dispatchMouseEvent", type=kind, x=at, y=y, button="left", buttons=1, clickCount=1
            )

    def wheel(self, selector: str, down: int, *, ctrl: bool = False) -> None:
        """Turn the wheel over the middle of an element."""
        x, y = self._middle(selector, 0)
        self._send(
            "Input.dispatchMouseEvent",
            type="mouseWheel",
            x=x,
            y=y,
            deltaX=0,
            deltaY=down,
            modifiers=2 if ctrl else 0,
        )

    def reload(self) -> None:
        """Load the page anew."""
        self.evaluate("window.old = true")
        self._send("Page.reload")
        self.wait("!window.old && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page; None while it is being changed."""
        try:
            answer = self._send("Runtime.evaluate", expression=script, returnByValue=True)
        except RuntimeError as error:
            if "context" in str(error):
                return None
            raise
        return answer["result"].get("value")

    def promised(self, script: str) -> Any:
        """Return what a promise in the page is fulfilled with."""
        answer = self._send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + 60
        while not self.evaluate(script):
            if time.monotonic() > deadline:
                shown = self.evaluate("document.body.innerText.slice(0, 999)")
                raise TimeoutError(f"{script} did not become true; the page: {shown}")
            time.sleep(0.02)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and let go of a key."""
        code, text = KEYS[key]
        down = {"type": "keyDown" if text else "rawKeyDown", "text": text}
        for event in (down, {"type": "keyUp"}):
            self._send(
                "Input.dispatchKeyEvent",
                key=key,
                code=code,
                windowsVirtualKeyCode=NUMBERS.get(key, 0),
                modifiers=8 if shift else 0,
                **event,
            )

    def click(self, selector: str) -> None:
        """Click with the mouse on the middle of an element."""
        box = self._middle(selector, 0)
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def write(self, text: str) -> None:
        """Write into the field that has the focus."""
        self._send("Input.insertText", text=text)

    def _middle(self, selector: str, number: int) -> tuple[float, float]:
        """Scroll an element into sight and return its middle in pixels of the window."""
        # What comes into sight may move what is around it, so the place is taken two frames later.
        x, y = self.promised(
            f"new Promise(done => {{ "
            f"const found = document.querySelectorAll({json.dumps(selector)})[{number}]; "
            "found.scrollIntoViewIfNeeded(); requestAnimationFrame(() => requestAnimationFrame(() => { "
            "const box = found.getBoundingClientRect(); "
            "done([box.x + box.width / 2, box.y + box.height / 2]); })); })"
        )
        return x, y

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **parameters)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start a browser that ends with the block, and after three minutes in any case."""
    import fcntl  # not on Windows, whose browsers take no pipe either

    assert FOUND is not None
    pipes = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
    browser_reads, we_write, we_read, browser_writes = pipes

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAY_PIPES, str(browser_reads), str(browser_writes)),
                FOUND,
                *options,
                f"--user-data-dir={profile}",
                "--window-size=1200,850",
                "--remote-debugging-pipe",
            ],
            pass_fds=(browser_reads, browser_writes),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(browser_reads)
        os.close(browser_writes)
        guard = threading.Timer(180, process.kill)
        guard.start()
        try:
            yield Chromium(we_write, we_read)
        finally:
            guard.cancel()
            process.terminate()
            process.wait()
