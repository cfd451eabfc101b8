"""Voila, configured for the course: own template, nothing from outside, no kernel left behind, no door left open."""

import asyncio
import logging
import signal
import threading
import webbrowser
from pathlib import Path

import jinja2
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.auth.logout import LogoutHandler
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RequestHandler
from traitlets import List, Unicode
from traitlets.config import Config
from voila.app import Voila
from voila.exporter import VoilaExporter
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from mlphys.lab.gallery import LEVELS, card, ways
from mlphys.lab.serve import plotly_route
from mlphys.lab.voila import forked
from mlphys.lab.voila.kernels import PatientKernelManager
from mlphys.lab.voila.service import Service
from mlphys.lab.voila.sessions import Lines, Session, Sessions, note
from mlphys.lab.voila.sockets import PageSocket

TEMPLATE = "mlphys"
PAGES = ("page", "tree", "full", "login")
# Widgets need these two; every further extension of JupyterLab would only make the page slower.
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"]
# A warm kernel starts only when the visitor who took the last one has his page on the screen.
REFILL_DELAY = 10.0
# Scripts come from here alone. Widgets bring theirs as text, which a browser counts as `eval` and as blobs.
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:",
            "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'self'",
            "frame-ancestors 'self'",
        )
    ),
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}  # fmt: skip


class PageHandler(TornadoVoilaHandler):
    """Voila's page of a notebook, for one session at a time, mended in two places."""

    session: Session | None = None

    async def get(self, path=None):
        # The page's farewell, which ends its kernel, is refused without this cookie; Voila sets it on its list page alone.
        _ = self.xsrf_token
        self.session = self.settings["sessions"].open(path)
        if self.session is None:
            self.set_status(503)
            self.set_header("Retry-After", "60")
            self.finish(self.render_template("full.html", page=self.request.uri))
            return
        try:
            await super().get(path)
        finally:
            self.session.loading = False

    def write(self, chunk):
        if self.session and isinstance(chunk, str):
            self.session.read(chunk)
        super().write(chunk)

    def should_use_rendered_notebook(self, notebook_data, pool_size, template_name, theme, request_args):
        # A warm kernel serves any theme: the page itself chooses between light and dark.
        return super().should_use_rendered_notebook(notebook_data, pool_size, template_name, None, request_args)


OURS: dict[type, type] = {TornadoVoilaHandler: PageHandler, VoilaKernelWebsocketHandler: PageSocket}


class HealthHandler(JupyterHandler):
    """Whether the server answers, and how full it is."""

    @allow_unauthenticated
    def get(self):
        sessions = self.settings["sessions"]
        self.set_header("Cache-Control", "no-store")
        self.finish({"status": "ok", "sessions": len(sessions), "limit": sessions.limit})


class DoorHandler(LoginFormHandler):
    """Asks for the token."""

    def _render(self, message=None):
        page = self.settings["voila_jinja2_env"].get_template("login.html")
        options = {"next": self.get_argument("next", default=self.base_url), "wrong": bool(message)}
        self.write(page.render(base_url=self.base_url, xsrf=self.xsrf_form_html(), **options))


class Guarded(JupyterHandler):
    """Put before a handler, lets nobody past who has not shown the token: Jupyter's own files would be open to all."""

    async def prepare(self, **options):
        if (prepared := super().prepare(**options)) is not None:
            await prepared
        if self.current_user is None and not self._finished:
            raise HTTPError(403)


def _guarded(handler: type[RequestHandler]) -> type[RequestHandler]:
    if issubclass(handler, (LoginFormHandler, LogoutHandler)):
        return handler
    return type(f"Guarded{handler.__name__}", (Guarded, handler), {})


class Dashboards(Voila):
    """A Voila server for a directory of notebooks that never asks another machine for anything."""

    name = "voila"
    # A stranger's configuration file must not change what a class sees.
    config_file_paths = List(Unicode(), [], config=True)

    @classmethod
    def for_course(cls, service: Service) -> "Dashboards":
        """Return a server ready to start; RuntimeError if its page template is incomplete."""
        config = Config()
        config.Voila.port = service.port
        config.Voila.port_retries = 0
        config.Voila.ip = service.host
        config.Voila.open_browser = service.browser
        config.Voila.log_level = logging.ERROR
        config.Voila.root_dir = str(service.directory)
        config.Voila.base_url = config.Voila.server_url = service.base_url
        config.Voila.token = service.token
        # Over a network compression pays; on this machine it would only keep the one thread of the server busy.
        config.Voila.tornado_settings = {"compress_response": not service.local, "headers": HEADERS}
        config.VoilaConfiguration.template = TEMPLATE
        config.VoilaConfiguration.allow_template_override = "NO"
        config.VoilaConfiguration.classic_tree = True
        config.VoilaConfiguration.show_tracebacks = service.tracebacks
        config.VoilaConfiguration.file_allowlist = []
        config.VoilaConfiguration.extension_allowlist = EXTENSIONS
        config.VoilaConfiguration.multi_kernel_manager_class = PatientKernelManager
        config.VoilaConfiguration.preheat_kernel = bool(service.warm)
        config.VoilaConfiguration.default_pool_size = 1
        config.VoilaKernelManager.fill_delay = REFILL_DELAY
        config.VoilaKernelManager.preheat_denylist = service.cold
        forked.prepare()
        config.PatientKernelManager.memory = service.memory
        config.MappingKernelManager.cull_idle_timeout = service.idle
        config.MappingKernelManager.cull_interval = max(1, service.idle // 4)
        cls.service = service
        app = cls.instance(config=config)
        app.initialize([])
        app.check_template()
        logging.basicConfig(level=logging.WARNING)
        for handler in (*app.log.handlers, *logging.root.handlers):
            handler.setFormatter(Lines())
        return app

    def init_settings(self) -> dict:
        settings = super().init_settings()
        sessions = Sessions(self.service.sessions, lambda kernel: kernel in self.kernel_manager)
        settings["voila_jinja2_env"].globals |= {
            "card_of": lambda path: card(self.service.directory / path),
            "ways_of": lambda: ways(self.service.directory),
            "levels": LEVELS,
        }
        names = ["localhost", *([self.service.name] if self.service.name else [])]
        # Without a token the name in the address is what keeps a stranger's page from talking to this server.
        remote = bool(self.service.token)
        return settings | {"sessions": sessions, "local_hostnames": names, "allow_remote_access": remote}

    def start(self) -> None:
        """Serve until interrupted or told to end, then end all kernels."""
        loop = IOLoop.current()
        loop.add_callback(lambda: asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, loop.stop))
        service = self.service
        note("start", address=self.connection_url, sessions=service.sessions, memory=service.memory, warm=list(service.warm))
        try:
            super().start()
        finally:
            note("stop")

    @property
    def address(self) -> str:
        """What to type into a browser."""
        return self.connection_url + (f"?token={self.service.token}" if self.service.token else "")

    def launch_browser(self) -> None:
        # Voila's own forgets the prefix.
        threading.Thread(target=webbrowser.open, args=(self.address,), daemon=True).start()

    def check_template(self) -> None:
        """Compile the templates now: Voila itself would only leave the visitor's page hanging, and a line in its log."""
        own = (Path(__file__).parent / "templates" / TEMPLATE).resolve()
        if own not in [Path(path).resolve() for path in self.template_paths]:
            raise RuntimeError(f"the page template {own} is not among the paths that Voila searches: {self.template_paths}")
        exporter = VoilaExporter(template_paths=self.template_paths, template_name=TEMPLATE, config=self.config)
        pages = jinja2.Environment(loader=jinja2.FileSystemLoader(self.template_paths), extensions=["jinja2.ext.i18n"])
        for environment, name in ((exporter.environment, "index.html.j2"), *((pages, f"{page}.html") for page in PAGES)):
            try:
                found = environment.get_template(name).filename
            except jinja2.TemplateError as error:
                raise RuntimeError(f"the page template {name} is broken: {error!r}") from error
            if Path(found or "").resolve().parent != own:
                raise RuntimeError(f"the page template {name} comes from {found}, must come from {own}")

    def init_handlers(self) -> list:
        self.identity_provider.login_handler_class = DoorHandler
        handlers = [
            # The door's own address comes without the prefix.
            (
                route if route.startswith(self.server_url) else url_path_join(self.server_url, route),
                _guarded(OURS.get(handler, handler)),
                *rest,
            )
            for route, handler, *rest in super().init_handlers()
        ]
        health = url_path_join(self.server_url, "/mlphys/health"), HealthHandler
        return [plotly_route(self.server_url), health, *handlers]
