"""Voila, configured for the course: own template, warm kernels, nothing from outside, no kernel left behind."""

import logging
from pathlib import Path

import jinja2
from traitlets import List, Unicode
from traitlets.config import Config
from voila.app import Voila
from voila.exporter import VoilaExporter
from voila.tornado.handler import TornadoVoilaHandler

from mlphys.lab.serve import plotly_route
from mlphys.lab.voila.kernels import PatientKernelManager

TEMPLATE = "mlphys"
# Widgets need these two; every further extension of JupyterLab would only make the page slower.
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"]
# A warm kernel starts only when the visitor who took the last one has his page on the screen.
REFILL_DELAY = 10.0


class PageHandler(TornadoVoilaHandler):
    """Voila's page of a notebook, mended in two places."""

    async def get(self, path=None):
        # The page's farewell, which ends its kernel, is refused without this cookie; Voila sets it on its list page alone.
        _ = self.xsrf_token
        await super().get(path)

    def should_use_rendered_notebook(self, notebook_data, pool_size, template_name, theme, request_args):
        # A warm kernel serves any theme: the page itself chooses between light and dark.
        return super().should_use_rendered_notebook(notebook_data, pool_size, template_name, None, request_args)


class Dashboards(Voila):
    """A Voila server for a directory of notebooks that never asks another machine for anything."""

    name = "voila"
    # A stranger's configuration file must not change what a class sees.
    config_file_paths = List(Unicode(), [], config=True)

    @classmethod
    def for_course(cls, directory: Path, port: int, host: str, browser: bool, idle: int, warm: bool) -> "Dashboards":
        """Return a server ready to start; RuntimeError if its page template is incomplete."""
        config = Config()
        config.Voila.port = port
        config.Voila.port_retries = 0
        config.Voila.ip = host
        config.Voila.open_browser = browser
        config.Voila.log_level = logging.ERROR
        config.Voila.root_dir = str(directory)
        # Over a network compression pays; on this machine it would only keep the one thread of the server busy.
        config.Voila.tornado_settings = {"compress_response": host not in ("127.0.0.1", "::1", "localhost")}
        config.VoilaConfiguration.template = TEMPLATE
        config.VoilaConfiguration.allow_template_override = "NO"
        config.VoilaConfiguration.classic_tree = True
        config.VoilaConfiguration.show_tracebacks = True
        config.VoilaConfiguration.extension_allowlist = EXTENSIONS
        config.VoilaConfiguration.multi_kernel_manager_class = PatientKernelManager
        config.VoilaConfiguration.preheat_kernel = warm
        config.VoilaConfiguration.default_pool_size = 1
        config.VoilaKernelManager.fill_delay = REFILL_DELAY
        config.MappingKernelManager.cull_idle_timeout = idle
        config.MappingKernelManager.cull_interval = max(1, idle // 4)
        app = cls.instance(config=config)
        app.initialize([])
        app.check_template()
        return app

    def check_template(self) -> None:
        """Compile the templates now: Voila itself would only leave the visitor's page hanging, and a line in its log."""
        own = (Path(__file__).parent / "templates" / TEMPLATE).resolve()
        if own not in [Path(path).resolve() for path in self.template_paths]:
            raise RuntimeError(f"the page template {own} is not among the paths that Voila searches: {self.template_paths}")
        exporter = VoilaExporter(template_paths=self.template_paths, template_name=TEMPLATE, config=self.config)
        pages = jinja2.Environment(loader=jinja2.FileSystemLoader(self.template_paths), extensions=["jinja2.ext.i18n"])
        for environment, name in ((exporter.environment, "index.html.j2"), (pages, "page.html"), (pages, "tree.html")):
            try:
                found = environment.get_template(name).filename
            except jinja2.TemplateError as error:
                raise RuntimeError(f"the page template {name} is broken: {error!r}") from error
            if Path(found or "").resolve().parent != own:
                raise RuntimeError(f"the page template {name} comes from {found}, must come from {own}")

    def init_handlers(self) -> list:
        handlers = [
            (route, PageHandler if handler is TornadoVoilaHandler else handler, *rest)
            for route, handler, *rest in super().init_handlers()
        ]
        return [plotly_route(self.server_url), *handlers]
