"""What is wrong with the links of a built site: internal ones that lead nowhere, external ones that are no addresses.

External addresses are not fetched. Whatever a page loads by itself must lie in the site.
"""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

OUTSIDE = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "link": "href"}
# `link` elements that only name another page.
NAMES = {"next", "prev", "index", "search", "canonical", "genindex", "author", "license"}


class Page(HTMLParser):
    """The links, the loaded files and the anchors of a page."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        address = values.get(LOADS.get(tag, ""))
        if address and not (tag == "link" and values.get("rel") in NAMES):
            self.loads.append(address)


def faults(site: Path) -> list[str]:
    """One sentence for each fault of a site."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site} holds no pages"]
    for path, page in pages.items():
        here = path.relative_to(site)
        for address in {*page.links, *page.loads}:
            outside = urlsplit(address).scheme or address.startswith("//")
            if outside and address in page.loads and not address.startswith("data:"):
                found.append(f"{here} loads {address} from outside")
            elif outside and not _well_formed(address):
                found.append(f"{here} links to {address!r}, which is no address")
            elif not outside and not _leads_somewhere(address, path, pages):
                found.append(f"{here} links to {address!r}, which is not there")
    for sheet in site.rglob("*.css"):
        addresses = OUTSIDE.findall(sheet.read_text(encoding="utf-8"))
        found += [f"{sheet.relative_to(site)} loads {address} from outside" for address in addresses]
    return sorted(found)


def _well_formed(address: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme in ("data", "mailto"):
        return bool(parts.path)
    host = re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}|localhost(:\d+)?|127\.0\.0\.1(:\d+)?", parts.netloc.lower())
    return parts.scheme in ("http", "https") and bool(host) and not re.search(r"[\s<>\"{}|\\^`]", address)


def _leads_somewhere(address: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(address)
    target = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
    if not target.is_file():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].anchors

