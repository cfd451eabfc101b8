"""Browser tests: Chromium on the real servers. They install what they need; where they cannot, they say so (in CI: fail).

With ``-n 2`` the tests of one server run beside those of the other; what is timed, ``-m alone``, wants to run without.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_addoption(parser) -> None:
    parser.addoption("--visitors", type=int, default=4, help="how many come at once in test_crowd.py")
    parser.addoption("--seconds", type=float, default=8, help="for how long each of them plays")


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "alone: times something, beside nothing else")


# Of a lecture in JupyterLab these would only repeat what its dashboard has shown.
OF_DASHBOARDS = ("test_every_control_by_keyboard", "test_tab_reaches_every_control")


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(240))
    items[:] = [item for item in items if not (item.name.startswith(OF_DASHBOARDS) and "jupyterlab-lectures" in item.name)]


# Files whose tests share no server with others.
APART = ("test_service", "test_book", "test_decks", "test_crowd", "test_kernels")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One process at a time for each server."""
    from xdist.scheduler import LoadScopeScheduling

    class ByServer(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            alone = next((file for file in APART if file in nodeid), "voila")
            return "jupyterlab" if "jupyterlab" in nodeid else alone

    return ByServer(config, log)


def find_chromium() -> str | None:
    named = os.environ.get("MLPHYS_CHROMIUM")
    found = [path for name in NAMES if (path := shutil.which(name))]
    return named or next(iter(found), None) or (str(MAC) if MAC.exists() else None)


def install_chromium() -> str:
    """Debian's chromium by apt-get; return why that was not possible, or an empty string."""
    if not shutil.which("apt-get"):
        return "this system has no apt-get"
    if os.geteuid() != 0:
        return "installing it needs root"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, timeout=600)
        if done.returncode:
            return f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}"
    return ""


@pytest.fixture(scope="session")
def chromium() -> str:
    import fcntl

    with (Path(tempfile.gettempdir()) / "mlphys-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # One process installs it, others wait.
        path = find_chromium()
        why = "" if path else install_chromium()
        path = path or find_chromium()
    if path:
        return path
    text = f"no Chromium for the browser tests ({why}): apt-get install chromium, or set MLPHYS_CHROMIUM to its path"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture(scope="session")
def dashboards(tmp_path_factory) -> Path:
    """Copies of the dashboards, so that no server writes into the course, and the workbench beside them."""
    import nbformat

    shelf = tmp_path_factory.mktemp("dashboards")
    for notebook in (ROOT / "course" / "dashboards").glob("*.ipynb"):
        shutil.copy(notebook, shelf)
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    source = f"import sys\nsys.path.insert(0, {str(HERE)!r})\nimport workbench\napp = workbench.app()\napp"
    workbench = nbformat.v4.new_notebook(metadata={"kernelspec": spec, "title": "Workbench"})
    text = r"The inverse temperature is $\beta = 1/T$."
    workbench.cells = [nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell(source)]
    nbformat.write(workbench, shelf / "workbench.ipynb")
    return shelf


@pytest.fixture(scope="session")
def lectures(dashboards, tmp_path_factory) -> Path:
    """The same with copies of the lectures in a folder."""
    shelf = tmp_path_factory.mktemp("lectures") / "course"
    shutil.copytree(dashboards, shelf)
    (shelf / "lectures").mkdir()
    for notebook in (ROOT / "course").glob("*.ipynb"):
        shutil.copy(notebook, shelf / "lectures")
    return shelf


@pytest.fixture(scope="session")
def voila(dashboards, tmp_path_factory) -> Iterator:
    """Voila as it comes: a kernel starts when its page is asked for."""
    from servers import Server

    server = Server("dashboards", dashboards, tmp_path_factory.mktemp("servers") / "voila", "--idle", "20")
    yield server
    server.close()


@pytest.fixture(scope="session")
def warm(dashboards, tmp_path_factory) -> Iterator:
    """Voila with one warm kernel per notebook in reserve."""
    from servers import Server

    server = Server("dashboards", dashboards, tmp_path_factory.mktemp("servers") / "warm", "--idle", "20", "--warm", "all")
    server.settle(len(list(dashboards.glob("*.ipynb"))))
    yield server
    server.close()


@pytest.fixture(scope="session")
def jupyterlab(lectures, tmp_path_factory) -> Iterator:
    from servers import Server

    server = Server("lab", lectures, tmp_path_factory.mktemp("servers") / "lab")
    yield server
    server.close()
