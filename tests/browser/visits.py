"""A visit to a page: what it asked for, what it complained about, what its parts show."""

import time
from pathlib import Path
from urllib.parse import urlparse

import psutil
from playwright.sync_api import BrowserContext, Locator, TimeoutError

HERE = {"127.0.0.1", "localhost", "::1"}
INTERNAL = {"data", "blob", "about"}
ARTIFACTS = Path(__file__).parent.parent.parent / "artifacts"


class Visit:
    """One page in a browser context, with a record of all it did."""

    def __init__(self, context: BrowserContext, address: str):
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.requests: list[str] = []
        self.failures: list[str] = []
        self.errors: list[str] = []
        self.received: list[int] = []  # bytes of each message of a websocket
        self.page.add_init_script(path=Path(__file__).with_name("page.js"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("response", self._answered)
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", self._connected)
        self.page.goto(address, wait_until="commit")

    def _answered(self, answer) -> None:
        if answer.status >= 400:
            self.failures.append(f"{answer.status} {answer.url}")

    def _connected(self, socket) -> None:
        self.requests.append(socket.url)
        socket.on("framereceived", lambda data: self.received.append(len(data)))

    def look(self, what: str, argument=None):
        """The answer of a function of page.js."""
        return self.page.evaluate(f"argument => look.{what}(argument)", argument)

    def parts(self, kind: str) -> Locator:
        """The widgets of a kind: lattice, plot, control, player, readouts, app."""
        return self.page.locator(f'[data-mlphys="{kind}"]')

    def wait_until_painted(self, seconds: float = 60) -> None:
        """Wait until the app is there, its lattices and all of its plots are drawn."""
        try:
            self.parts("app").first.wait_for(timeout=1000 * seconds)
            self.page.wait_for_function("look.isPainted()", timeout=1000 * seconds)
        except TimeoutError as error:
            ARTIFACTS.mkdir(exist_ok=True)
            self.page.screenshot(path=ARTIFACTS / "not-painted.png")
            text = self.page.inner_text("body")[:1000]
            reason = f"not painted after {seconds} s; see artifacts/not-painted.png; {self.complaints()}\n{text}"
            raise AssertionError(reason) from error

    def strangers(self) -> list[str]:
        """Requests that left this machine."""
        addresses = [(urlparse(url), url) for url in self.requests]
        return [url for address, url in addresses if address.scheme not in INTERNAL and address.hostname not in HERE]

    def complaints(self) -> list[str]:
        """Everything that says something went wrong: console, failed requests, tracebacks, error marks."""
        return [*self.errors, *self.failures, *self.look("complaints")]

    def run(self, on: bool, which: int = 0) -> None:
        """Press run or stop unless the player already does so."""
        player = self.parts("player").nth(which)
        if player.get_attribute("data-running") != str(on).lower():
            player.locator('[data-action="run"]').click()
            self.wait_for_player(on, which)

    def wait_for_player(self, on: bool, which: int = 0) -> None:
        """Wait until a player runs, or has stopped."""
        self.page.wait_for_function("([which, on]) => look.running()[which] === on", arg=[which, on])

    def wait_for_frames(self, count: int, part: str = "lattice 0") -> None:
        """Wait until a view has been repainted `count` times or more."""
        wanted = self.look("frames")[part] + count
        self.page.wait_for_function("([part, wanted]) => look.frames()[part] >= wanted", arg=[part, wanted])

    def brightness(self) -> float:
        """Of the page behind everything, from 0 (black) to 1."""
        colour = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / (3 * 255)

    def come_to_rest(self) -> None:
        """Stop every player and wait until nothing is repainted any more."""
        for which in range(self.parts("player").count()):
            self.run(False, which)
        before: dict = {}
        since, deadline = time.monotonic(), time.monotonic() + 20
        while time.monotonic() < deadline:
            now = self.look("frames")
            changed = [part for part in now if now[part] != before.get(part)]
            if changed:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > 0.6:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{changed} still being repainted 20 s after the players stopped: {self.look('running')}")

    def close(self) -> None:
        """Leave as a visitor does, which ends the kernel."""
        self.page.goto("about:blank")
        self.page.close()


def wait_for_a_quiet_machine(busy: float, seconds: float = 40) -> None:
    """Wait until its processors are busy to less than `busy` per cent, for `seconds` at most: others may be at work, too."""
    deadline = time.monotonic() + seconds
    while psutil.cpu_percent(interval=1) > busy and time.monotonic() < deadline:
        pass
