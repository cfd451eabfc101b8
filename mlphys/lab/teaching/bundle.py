"""Archives whose bytes depend on nothing but their content: the library as a wheel, a lecture as a zip."""

import base64
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[2]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of files by name, all of one age.

    >>> zipped({"a.txt": b"a"}) == zipped({"a.txt": b"a"}), zipfile.ZipFile(io.BytesIO(zipped({"a.txt": b"a"}))).namelist()
    (True, ['a.txt'])
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980, where zip's calendar begins
            entry.external_attr, entry.create_system = 0o644 << 16, 3
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


@cache
def wheel() -> dict[str, bytes]:
    """This library as a wheel, by file name: what a student installs who has nothing but a zip."""
    project = _project()
    name, about = f"{project['name']}-{project['version']}", f"{project['name']}-{project['version']}.dist-info"
    paths = filter(_ours, sorted(PACKAGE.rglob("*")))
    files = {path.relative_to(PACKAGE.parent).as_posix(): path.read_bytes() for path in paths}
    files[f"{about}/METADATA"] = "\n".join(_metadata(project)).encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: mlphys\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    scripts = "".join(f"{script} = {target}\n" for script, target in project["scripts"].items())
    files[f"{about}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    return {f"{name}-py3-none-any.whl": zipped(files)}


def requirements() -> dict[str, bytes]:
    """The files from which pip installs the wheel and the tested set of everything that it needs."""
    (name,) = wheel()
    text = f"./{name}[course]\n-c constraints.txt\n"
    return {"requirements.txt": text.encode(), "constraints.txt": (PACKAGE.parent / "constraints.txt").read_bytes()}


def _project() -> dict[str, Any]:
    path = PACKAGE.parent / "pyproject.toml"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: a release needs a checkout of the repository")
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"]


def _metadata(project: dict[str, Any]) -> Iterator[str]:
    yield "Metadata-Version: 2.4"
    yield f"Name: {project['name']}"
    yield f"Version: {project['version']}"
    yield f"Summary: {project['description']}"
    yield f"License-Expression: {project['license']}"
    yield f"Requires-Python: {project['requires-python']}"
    for requirement in project["dependencies"]:
        yield f"Requires-Dist: {requirement}"
    for extra, needed in project["optional-dependencies"].items():
        yield f"Provides-Extra: {extra}"
        for requirement in needed:
            yield f'Requires-Dist: {requirement}; extra == "{extra}"'
    yield ""


def _ours(path: Path) -> bool:
    """Whether a file belongs to the library: no cache, nothing hidden."""
    parts = path.relative_to(PACKAGE).parts
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return path.is_file() and not hidden and path.suffix not in (".nbi", ".nbc", ".pyc")


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
