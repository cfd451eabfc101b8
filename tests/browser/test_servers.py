"""The servers themselves: plotly.js from here and cached, a checked template, a quick start, pages in both themes."""

import subprocess
import sys

import pytest
from servers import TOKEN, Server, fetch
from subjects import NOTEBOOKS
from visits import Visit


@pytest.fixture(params=["voila", "jupyterlab"])
def server(request) -> Server:
    return request.getfixturevalue(request.param)


def test_plotly_is_a_static_file_that_browsers_keep(server):
    address = f"{server.base}/mlphys/static/plotly.min.js"
    status, headers, body = fetch(address)
    assert status == 200 and len(body) > 1_000_000
    assert "max-age" in headers["Cache-Control"] and headers["Content-Type"].startswith("text/javascript")
    status, _, body = fetch(address, **{"If-None-Match": headers["ETag"]})
    assert status == 304 and not body


def test_nothing_else_of_the_package_is_served(server):
    for path in ("mlphys/static/", "mlphys/static/plotly.json", "mlphys/static/..%2f__init__.py"):
        assert fetch(f"{server.base}/{path}")[0] in (403, 404)


@pytest.mark.alone
def test_jupyterlab_starts_within_10_s_on_the_course_and_asks_for_its_token(jupyterlab):
    print(f"mlphys lab answers after {jupyterlab.seconds_to_start:.1f} s")
    assert jupyterlab.seconds_to_start < 10
    status, _, body = fetch(f"{jupyterlab.base}/api/contents?token={TOKEN}")
    assert status == 200 and b"workbench.ipynb" in body
    assert fetch(f"{jupyterlab.base}/api/contents")[0] == 403


def test_list_of_dashboards_is_an_accessible_page_without_strangers(voila, context):
    visit = Visit(context, f"{voila.base}/")
    visit.page.get_by_role("link", name="Workbench").wait_for()
    assert visit.page.title() == "Dashboards"
    assert visit.page.locator("html").get_attribute("lang") == "en"
    assert visit.page.get_by_role("link").count() == len(NOTEBOOKS)
    assert not visit.strangers() and not visit.complaints()


def test_page_has_title_language_skip_link_landmark_and_formulas(voila, context):
    visit = Visit(context, voila.page("workbench.ipynb"))
    visit.wait_until_painted()
    page = visit.page
    assert page.title() == "Workbench"
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("main").count() == 1
    page.locator("mjx-container").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "rendered_cells"
    assert not visit.strangers()
    visit.close()


def test_theme_in_the_address(voila, context):
    visit = Visit(context, f"{voila.base}/?theme=dark")
    visit.page.wait_for_load_state()
    visit.page.get_by_role("button", name="Light page").wait_for()
    assert visit.brightness() < 0.2
    assert not visit.complaints()


def test_large_type_for_a_hall_is_remembered(voila, context):
    visit = Visit(context, voila.page("workbench.ipynb"))
    visit.wait_until_painted()
    letters = "[...document.querySelectorAll('.mlphys-control label, .xtitle')]"
    sizes = f"{letters}.map(node => parseFloat(getComputedStyle(node).fontSize))"
    usual = visit.page.evaluate(sizes)
    visit.page.get_by_role("button", name="Large type").click()
    visit.page.wait_for_function(f"{sizes}.every((size, i) => Math.abs(size / {usual}[i] - 1.4) < 0.01)")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert not visit.complaints()
    visit.page.goto(f"{voila.base}/")
    visit.page.get_by_role("button", name="Usual type").click()
    visit.page.get_by_role("button", name="Large type").wait_for()
    visit.close()


def test_jupyterlab_follows_the_system_to_dark_and_asks_nothing(jupyterlab, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    visit = Visit(context, f"{jupyterlab.base}/lab?token={TOKEN}&reset")
    visit.page.locator('body[data-jp-theme-light="false"]').wait_for(state="attached")
    visit.page.wait_for_timeout(2000)
    assert visit.page.locator(".jp-Dialog, .Toastify__toast").count() == 0, "a dialogue or a notice greets the student"
    assert not visit.strangers() and not visit.complaints()
    context.close()


def test_incomplete_template_ends_the_server_with_a_reason(tmp_path):
    """Voila on its own would start and leave every page hanging."""
    code = (
        "from pathlib import Path; from mlphys.lab import serve; from mlphys.lab.voila import app; "
        "from mlphys.lab.voila.service import Service; app.TEMPLATE = 'missing'; serve.dashboards(Service(Path('.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode and "page template" in done.stderr.splitlines()[-1]


def test_check_says_that_this_installation_can_run_the_course():
    done = subprocess.run([sys.executable, "-m", "mlphys", "check"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "σ" in done.stdout and "FAILED" not in done.stdout


def test_missing_directory_is_one_sentence(tmp_path):
    line = [sys.executable, "-m", "mlphys", "dashboards", str(tmp_path / "nowhere"), "--no-browser"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "is not a directory" in done.stderr
