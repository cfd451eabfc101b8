"""DOIs and arXiv numbers as links, and the bibliography from `references.bib`."""

import re
from pathlib import Path
from urllib.parse import quote

DOI, ARXIV = r"(?:doi:)?10\.\d{4,}/\S*[^\s,;.)]", r"arXiv:(?:\d{4}\.\d{4,5}|[a-z-]+/\d{7})"
IDENTIFIER = rf"(?<![\w/])(?:{DOI}|{ARXIV}|openreview\.net/forum\?id=\w+)"
FILE = Path(__file__).parent / "references.bib"


def address(identifier: str) -> str:
    """Where an identifier leads.

    >>> address("arXiv:hep-lat/0306017"), address("10.1023/A:1008923215028")
    ('https://arxiv.org/abs/hep-lat/0306017', 'https://doi.org/10.1023/A%3A1008923215028')
    """
    if identifier.startswith("arXiv:"):
        return f"https://arxiv.org/abs/{identifier.removeprefix('arXiv:')}"
    doi = identifier.removeprefix("doi:")
    return f"https://doi.org/{quote(doi, safe='/()')}" if doi.startswith("10.") else f"https://{identifier}"


def identifiers(text: str) -> list[str]:
    """Those in a text, in order.

    >>> identifiers("see doi:10.1016/0370-2693(87)91197-X, and (arXiv:1910.07467).")
    ['doi:10.1016/0370-2693(87)91197-X', 'arXiv:1910.07467']
    """
    return re.findall(IDENTIFIER, text)


def linked(markdown: str) -> str:
    """Markdown whose identifiers are links."""
    return re.sub(IDENTIFIER, lambda found: f"[{re.sub(r'([<>_*])', _escaped, found[0])}](<{address(found[0])}>)", markdown)


def _escaped(found: re.Match) -> str:
    return f"\\{found[0]}"


def entries() -> dict[str, dict[str, str]]:
    """The entries of the file: key to fields."""
    found = re.findall(r"^@\w+\{(\S+),\n(.*?)^\}", FILE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return {key: dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, re.MULTILINE)) for key, body in found}


def names(entry: dict[str, str]) -> list[str]:
    """The identifiers of an entry, as texts give them."""
    kinds = {"doi": "doi:", "eprint": "arXiv:", "url": ""}
    return [prefix + entry[field].removeprefix("https://") for field, prefix in kinds.items() if field in entry]


def bibliography(lectures: dict[str, str]) -> str:
    """A page of all entries, each with the lectures that cite it; `lectures` is the text of each."""
    lines = []
    for entry in sorted(entries().values(), key=lambda entry: (entry["author"], entry["year"])):
        links = [f"[{slug[:2]}](/lectures/{slug}.md)" for slug, text in lectures.items() if cites(text, entry)]
        lines.append(f"- {linked(_words(entry))}{' · lecture ' if links else ''}{', '.join(links)}")
    return "\n".join(["# Bibliography\n", "What the lectures cite, {download}`as BibTeX </references.bib>`.\n", *lines, ""])


def cites(text: str, entry: dict[str, str]) -> bool:
    """Whether a text cites an entry: by an identifier, or by journal and volume where it has none."""
    known = names(entry)
    return bool(set(known) & set(identifiers(text))) if known else f"*{entry['journal']}* **{entry['volume']}**" in text


def _words(entry: dict[str, str]) -> str:
    """An entry as the lectures write it."""
    people = [" ".join(reversed(name.split(", "))) for name in entry["author"].split(" and ")]
    people = [f"{people[0]} et al."] if people[-1] == "others" else people
    parts = [" and ".join(filter(None, [", ".join(people[:-1]), people[-1]]))]
    where = [f"*{entry['title']}*"] if "title" in entry else []
    if "journal" in entry:
        volume = f"**{entry['volume']}**, " if "volume" in entry else ""
        where += [f"*{entry['journal']}* {volume}{entry['pages']}"]
    return ", ".join([*parts, f"{', '.join(where)} ({entry['year']})", *names(entry)])
