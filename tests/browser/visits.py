"""A visit to a page: what it asked for, what it complained about, what its parts show."""

import time
from urllib.parse import urlparse

from playwright.sync_api import BrowserContext, Locator

HERE = {"127.0.0.1", "localhost", "::1"}

# Notes in every page when its first canvas and its first plot were painted, in ms since the navigation began.
FIRST_PAINT = """
window.firstPaint = {};
new MutationObserver(() => {
  for (const part of ["lattice", "plot"]) {
    if (!(part in firstPaint) && document.querySelector(`[data-mlphys="${part}"][data-frame]`)) {
      firstPaint[part] = performance.now();
    }
  }
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-frame"] });
"""


class Visit:
    """One page in a browser context, with a record of all it did."""

    def __init__(self, context: BrowserContext, address: str):
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.requests: list[str] = []
        self.failures: list[str] = []
        self.errors: list[str] = []
        self.messages: list[tuple[float, int]] = []  # websocket: seconds since the visit began, bytes received
        self.began = time.monotonic()
        self.page.add_init_script(FIRST_PAINT)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("response", lambda answer: answer.status >= 400 and self.failures.append(f"{answer.status} {answer.url}"))
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", self._listen)
        self.page.goto(address, wait_until="commit")

    def _listen(self, socket) -> None:
        self.requests.append(socket.url)
        socket.on("framereceived", lambda data: self.messages.append((time.monotonic() - self.began, len(data))))

    def parts(self, kind: str) -> Locator:
        """The widgets of a kind: lattice, plot, control, player, readouts, app."""
        return self.page.locator(f'[data-mlphys="{kind}"]')

    def wait_until_painted(self, seconds: float = 60) -> None:
        """Wait until the app is there, its lattices and all of its plots are drawn."""
        self.parts("app").first.wait_for(timeout=1000 * seconds)
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('[data-mlphys="lattice"], [data-mlphys="plot"]')]
                .every(part => 'frame' in part.dataset || 'error' in part.dataset)""",
            timeout=1000 * seconds,
        )

    def strangers(self) -> list[str]:
        """Requests that left this machine."""
        return [url for url in self.requests if urlparse(url).scheme not in ("data", "blob", "about") and urlparse(url).hostname not in HERE]

    def complaints(self) -> list[str]:
        """Everything that says something went wrong: console, failed requests, tracebacks, error marks."""
        marks = self.page.evaluate(
            """() => [
                ...[...document.querySelectorAll('[data-mime-type="application/vnd.jupyter.stderr"], .jp-RenderedText[data-mime-type*="error"]')]
                    .map(node => node.innerText.trim()),
                ...[...document.querySelectorAll('[data-error]')].map(node => node.dataset.error),
                ...[...document.querySelectorAll('[data-mlphys="player"] p')].map(node => node.innerText.trim()),
            ].filter(Boolean)"""
        )
        return [*self.errors, *self.failures, *marks]

    def run(self, on: bool) -> None:
        """Press run or stop unless the first player already does so."""
        player = self.parts("player").first
        if player.get_attribute("data-running") != str(on).lower():
            player.locator('[data-action="run"]').click()
            self.wait_for_player(on)

    def wait_for_player(self, on: bool) -> None:
        """Wait until the first player runs, or has stopped."""
        self.page.wait_for_function(
            "on => document.querySelector('[data-mlphys=player]').dataset.running === on", arg=str(on).lower()
        )

    def wait_for_frames(self, count: int, part: str = "lattice") -> None:
        """Wait until the first widget of a kind has been repainted `count` times or more."""
        self.page.evaluate("part => window.seen = Number(document.querySelector(`[data-mlphys=${part}]`).dataset.frame)", part)
        self.page.wait_for_function(
            "([part, n]) => document.querySelector(`[data-mlphys=${part}]`).dataset.frame >= window.seen + n", arg=[part, count]
        )

    def come_to_rest(self) -> None:
        """Stop the player and wait until nothing is repainted any more."""
        if self.parts("player").count():
            self.run(False)
        frames = "() => [...document.querySelectorAll('[data-frame]')].map(part => part.dataset.frame).join()"
        before, since, deadline = None, time.monotonic(), time.monotonic() + 20
        while time.monotonic() < deadline:
            now = self.page.evaluate(frames)
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > 0.6:
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError("the page is still being repainted 20 s after its player was stopped")

    def close(self) -> None:
        """Leave as a visitor does, which ends the kernel."""
        self.page.goto("about:blank")
        self.page.close()
