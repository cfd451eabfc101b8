"""Many pages at once, pages that come late, pages that vanish."""

import time
from itertools import cycle
from pathlib import Path

import pytest
from servers import Probe, Server
from subjects import NOTEBOOKS, Subject
from visits import Visit

PAGES = 5


@pytest.mark.alone
def test_five_pages_opened_at_once_live_and_stay_alive(warm, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = [notebook for notebook, _ in zip(cycle(reversed(NOTEBOOKS)), range(PAGES), strict=False)]
    visits = [Visit(context, warm.page(notebook)) for notebook in opened]
    for visit in visits:
        visit.wait_until_painted(120)
    for visit in visits:
        visit.run(True)
    time.sleep(20)
    early = [visit.look("frames") for visit in visits]
    time.sleep(4)
    for visit, before in zip(visits, early, strict=True):
        now = visit.look("frames")
        assert now["lattice 0"] > before["lattice 0"] + 10, "a lattice stands still"
        assert any(now[part] > before[part] for part in now if part.startswith("plot")), "the plots stand still"
        assert all(plot["drawn"] for plot in visit.look("plots")), "a plot is empty"
        assert not visit.complaints()
        assert not visit.strangers()
        visit.close()
    context.close()


def test_a_page_shows_what_was_edited_before_it_was_opened(dashboards, tmp_path, context):
    """The widgets of a warm kernel are older than the page; what they were built with must not be what it paints."""
    server = Server("dashboards", dashboards, tmp_path / "server", "--warm", "workbench")
    server.settle(1)
    (file,) = server.kernels().values()
    probe = Probe(file)
    probe.run(
        "for plot in filter(lambda plot: plot.traces, _all(Plot)):\n"
        "    plot.update({0: {**plot.traces[0], 'y': [3.0, 1.0, 4.0], 'x': [1.0, 2.0, 3.0]}})\n"
        "for view in _all(LatticeView):\n"
        "    view.show((view.array()[::-1] == 0).astype('uint8')); view.flush()"
    )
    probe.close()
    subject = Subject(server, "workbench.ipynb", context)
    subject.visit.come_to_rest()
    assert subject.visit.look("plots")[0]["points"][0] == [3.0, 1.0, 4.0]
    shown = subject.visit.parts("lattice").first.get_attribute("data-checksum")
    assert [shown] == subject.probe.ask("[view.checksum() for view in _all(LatticeView)]")
    subject.close()
    server.close()


def test_a_page_that_is_busy_while_its_widgets_load_still_hears_its_kernel(voila, context):
    """As on a slow machine, or while plotly.js is read: anywidget's own patience ends after two seconds."""
    context.add_init_script(path=Path(__file__).with_name("busy.js"))
    visit = Visit(context, voila.page("workbench.ipynb"))
    visit.wait_until_painted()
    assert visit.page.evaluate("busyTimes") > 0
    visit.run(True)
    visit.wait_for_frames(20)
    assert not visit.complaints()
    visit.close()


def test_the_kernel_of_a_closed_page_ends(voila, context):
    visit = Visit(context, voila.page("workbench.ipynb"))
    visit.wait_until_painted()
    kernel = visit.look("kernelId")
    assert kernel in voila.kernels()
    visit.close()
    assert_ends(voila, kernel, seconds=15)


def test_the_kernel_of_a_browser_that_vanished_is_reclaimed(voila, context):
    """Without its cookie the page's farewell is refused; the server ends the kernel after --idle, though its player runs."""
    visit = Visit(context, voila.page("workbench.ipynb"))
    visit.wait_until_painted()
    visit.run(True)
    context.clear_cookies()
    kernel = visit.look("kernelId")
    visit.close()
    time.sleep(5)
    assert kernel in voila.kernels(), "ended at once: the farewell was heard, this tests nothing"
    assert_ends(voila, kernel, seconds=60)


def assert_ends(server, kernel: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while kernel in server.kernels():
        assert time.monotonic() < deadline, f"the kernel still lives {seconds} s after its page was closed"
        time.sleep(0.5)
