"""The servers of the course: JupyterLab on the lectures, Voila on the dashboards, and plotly.js for both.

Both answer ``${base_url}mlphys/static/plotly.min.js`` with the file that ships inside the plotly package (``ETag``, kept by
the browser for a day), so that a page draws without asking any other machine. JupyterLab learns the address from this
module's server extension, which ``jupyter/jupyter_server_config.d/mlphys.json`` switches on.
"""

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.utils import url_path_join
from tornado.web import StaticFileHandler

if TYPE_CHECKING:
    from mlphys.lab.voila.service import Service

HERE = Path(__file__).parent
DAY = 24 * 3600
_NBGRADER = ("formgrader", "validate_assignment", "assignment_list", "course_list")


class PlotlyHandler(StaticFileHandler):
    """Serve plotly.js to anyone who can reach the server: it is a public library."""

    @allow_unauthenticated
    async def get(self, path: str, include_body: bool = True) -> None:
        await super().get(path, include_body)

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", f"public, max-age={DAY}")

    @classmethod
    def get_content_type(cls) -> str:  # type: ignore[override]
        return "text/javascript"


def plotly_route(base_url: str) -> tuple:
    """Return the tornado route of plotly.js below `base_url`.

    >>> plotly_route("/")[0]
    '/mlphys/static/(plotly\\\\.min\\\\.js)'
    """
    return url_path_join(base_url, r"/mlphys/static/(plotly\.min\.js)"), PlotlyHandler, {"path": str(plotly_folder())}


def plotly_folder() -> Path:
    """Return the folder of the installed plotly package that holds plotly.min.js; FileNotFoundError if there is none."""
    spec = find_spec("plotly")
    folder = Path(spec.origin).parent / "package_data" if spec and spec.origin else Path("plotly/package_data")
    if not (folder / "plotly.min.js").exists():
        raise FileNotFoundError(f"{folder}/plotly.min.js does not exist: install plotly")
    return folder


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "mlphys.lab.serve"}]


def _load_jupyter_server_extension(server) -> None:
    server.web_app.add_handlers(".*$", [plotly_route(server.web_app.settings["base_url"])])


def lab(directory: Path, port: int, host: str = "127.0.0.1", browser: bool = True, token: str | None = None) -> None:
    """Serve `directory` in JupyterLab until interrupted; no request of its pages leaves the machine."""
    _prepare_kernels()
    from jupyterlab.labapp import LabApp

    # The dashboards have their own server, and teachers their own tools: in this one they would only cost time at the start.
    others = ("voila.server_extension", "notebook", *(f"nbgrader.server_extensions.{name}" for name in _NBGRADER))
    extensions = {"mlphys.lab.serve": True, **dict.fromkeys(others, False)}
    options = {
        "ServerApp.root_dir": _existing(directory),
        "ServerApp.ip": host,
        "ServerApp.port": port,
        "ServerApp.open_browser": browser,
        "ServerApp.allow_root": True,
        "ServerApp.jpserver_extensions": extensions,
        "LabApp.default_url": _first_page(directory),
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    if token is not None:
        options["IdentityProvider.token"] = token
    LabApp.launch_instance(argv=[f"--{name}={value}" for name, value in options.items()])


def dashboards(service: "Service") -> None:
    """Serve the notebooks of a directory as pages without code until interrupted."""
    _prepare_kernels()
    from mlphys.lab.voila.app import Dashboards

    service.port = _free_port(service.host, service.port)
    app = Dashboards.for_course(service)
    print(f"Dashboards on {app.address}  (Ctrl-C to stop)", flush=True)
    app.start()


def _prepare_kernels() -> None:
    """Let Jupyter find the configuration and the page template in this package, and give kernels one thread for torch."""
    for variable, path in (("JUPYTER_CONFIG_PATH", HERE / "jupyter"), ("JUPYTER_PATH", HERE)):
        rest = os.environ.get(variable)
        os.environ[variable] = os.pathsep.join([str(path), *([rest] if rest else [])])
    # Kernels of several visitors share the processors: torch's threads would wait for one another on every small tensor.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a directory: name one with notebooks in it")
    return directory.resolve()


def _first_page(directory: Path) -> str:
    notebooks = sorted(directory.glob("index.ipynb")) or sorted(directory.glob("*.ipynb"))
    return f"/lab/tree/{notebooks[0].name}" if notebooks else "/lab"


def _free_port(host: str, port: int) -> int:
    for candidate in range(port, min(port + 50, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    raise RuntimeError(f"no free port between {port} and {port + 49} on {host}")
