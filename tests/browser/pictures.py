"""Takes the pictures of the gallery: each app after some seconds of running.

`python tests/browser/pictures.py [01_ising]`
"""

import sys
import tempfile
from pathlib import Path

from conftest import FLAGS, ROOT, find_chromium
from playwright.sync_api import sync_playwright
from servers import Server
from visits import Visit

from mlphys.lab.gallery import PICTURES

SECONDS = 12


def main(chosen: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        server = Server("dashboards", ROOT / "course" / "dashboards", Path(scratch) / "server", size="lecture")
        browser = driver.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for notebook in sorted((ROOT / "course" / "dashboards").glob(f"{chosen}.ipynb")):
            size = {"width": 1280, "height": 900}
            context = browser.new_context(viewport=size, device_scale_factor=0.5, color_scheme="light")
            visit = Visit(context, server.page(notebook.name))
            visit.wait_until_painted(120)
            for player in range(visit.parts("player").count()):
                visit.run(True, player)
                visit.page.wait_for_timeout(1000 * SECONDS)
                if visit.look("running")[player]:
                    visit.run(False, player)
            visit.page.evaluate("scrollTo(0, 0)")
            box = visit.parts("app").first.bounding_box()
            clip = {"x": box["x"], "y": box["y"] + 44, "width": box["width"], "height": box["width"] * 9 / 16}
            visit.page.screenshot(path=PICTURES / f"{notebook.stem}.jpg", clip=clip, type="jpeg", quality=80)
            visit.close()
            context.close()
        browser.close()
        server.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "*")
