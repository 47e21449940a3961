"""What tests share: a headless Chromium, one torch thread, a tiny model."""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (found := shutil.which(name))
    ),
    None,
)

READING = (Path(__file__).parent / "reading.js").read_text(encoding="utf-8").partition("\n")[2]
"""A function of JavaScript that lists what cannot be read on a page."""


class Browser:
    """One page, steered by the DevTools protocol over pipes, which needs no further library.

    Attributes:
        complaints: What the console was told as a warning or an error, and uncaught exceptions.
    """

    def __init__(self, profile: Path) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        words = [
            str(CHROMIUM),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        # Chromium reads commands from descriptor 3 and answers on 4.
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *words],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._session, self._buffer = 0, "", b""
        self.complaints: list[str] = []
        self._loaded = False
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(
        self, address: str, *, width: int = 1280, height: int = 1000, theme: str = "light"
    ) -> None:
        """Load a page of a given width, for readers of a light or dark theme, and wait for it."""
        preferred = {"name": "prefers-color-scheme", "value": theme}
        self.send("Emulation.setEmulatedMedia", features=[preferred])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.complaints, self._loaded = [], False
        self.send("Page.navigate", url=address)
        while not self._loaded:
            self._next()

    def unreadable(self, page: Path) -> list[str]:
        """What cannot be read on a page, on desks and phones, light and dark; see reading.js."""
        found = []
        for width, theme in itertools.product((1400, 400), ("light", "dark")):
            self.open(page.as_uri(), width=width, theme=theme)
            found += [f"{width} {theme}: {words}" for words in self.run(f"({READING})()")]
            found += [f"{width} {theme}: {words}" for words in self.complaints]
        return found

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression."""
        result = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def _next(self, seconds: float = 120.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            received = os.read(self._read, 1 << 20) if ready else b""
            if not received:
                raise RuntimeError("Chromium does not answer")
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])

    def close(self) -> None:
        """End Chromium."""
        self._session = ""
        try:
            self.send("Browser.close")
            self._process.wait(timeout=20)
        except (AssertionError, RuntimeError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; tests that need it are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    found = Browser(tmp_path_factory.mktemp("chromium"))
    yield found
    found.close()


@pytest.fixture
def one_thread():
    """One CPU thread: more only wait for each other on a tiny model."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A tiny model that answers right now and then, saved with its tokenizer."""
    pytest.importorskip("torch")
    from llm_validation.initial_model import save
    from llm_validation.tasks import load_task
    from llm_validation.tiny_model import character_tokenizer, tiny_llama
    from llm_validation.warm_up import warm_up

    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer, seed=0)
    train = load_task("arithmetic").train
    warm_up(model, tokenizer, train, initial_success=0.3, steps=60, seed=0)
    folder = tmp_path_factory.mktemp("tiny") / "model"
    save(model, tokenizer, folder)
    return folder
