"""Dashboards in production: who may come in, how many, what they can reach, and how the house is closed."""

import asyncio
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from servers import Probe, Server, fetch
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect
from visits import Visit
from wire import SUBPROTOCOL, pack

TOKEN = "a-token-for-guests"
LECTURES = sorted((Path(__file__).parents[2] / "course").glob("[0-9][0-9]_*.ipynb"))
NOBODY = "00000000-0000-4000-8000-000000000000"
# Every kind of address that the server knows.
PLACES = (
    "/", "/voila/render/workbench.ipynb", "/voila/tree", "/voila/api/contents", "/voila/api/contents/workbench.ipynb",
    "/voila/files/workbench.ipynb", "/voila/files/diary.txt", "/voila/templates/mlphys/static/mlphys.css",
    "/voila/static/voila.js", "/voila/labextensions/anywidget/package.json", "/voila/api/themes/x",
    f"/api/kernels/{NOBODY}", f"/api/kernels/{NOBODY}/channels", f"/voila/api/shutdown/{NOBODY}",
)  # fmt: skip
WAYS_OUT = (
    "/voila/render/..%2f..%2f..%2f..%2fetc%2fpasswd", "/voila/files/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/voila/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "/voila/files//etc/passwd", "/voila/files/diary.txt",
    "/voila/templates/mlphys/static/..%2f..%2f..%2fapp.py", "/voila/labextensions/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/voila/render/diary.txt", "/voila/files/workbench.ipynb", "/mlphys/static/..%2f__init__.py",
    "/voila/templates/..%2fmlphys/static/x", "/voila/tree/..%2f..", "/voila/api/contents/..%2f..",
)  # fmt: skip


@pytest.fixture(scope="module")
def service(dashboards, tmp_path_factory):
    """One seat behind a token and a proxy's prefix, for anybody on the network."""
    course = tmp_path_factory.mktemp("service") / "course"
    shelf = course / "dashboards"
    shutil.copytree(dashboards, shelf)
    for lecture in LECTURES:
        shutil.copy(lecture, course)
    (shelf / "diary.txt").write_text("dear diary")
    limits = ("--sessions", "1", "--memory", "700", "--idle", "5")
    address = ("--host", "0.0.0.0", "--base-url", "/course", "--token", TOKEN)
    server = Server("dashboards", shelf, shelf.parent / "server", *limits, *address)
    yield server
    server.close()


@pytest.fixture
def visit(service, context):
    visit = Visit(context, f"{service.base}/voila/render/workbench.ipynb?{urlencode({'token': TOKEN})}")
    visit.wait_until_painted()
    yield visit
    if not visit.page.is_closed():
        visit.close()
    wait_until(lambda: not service.kernels(), 60)


def wait_until(happened, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.3)


def knock(address: str, kernel: str, origin: str, cookie: str = "", *packets, protocols=(SUBPROTOCOL,)) -> int | None:
    """Open a kernel's websocket as a program, not a browser, would, and send `packets`; returns the code of its closing."""

    async def talk():
        headers = {"Origin": origin, "Cookie": cookie}
        request = HTTPRequest(f"{address}/api/kernels/{kernel}/channels", headers=headers)
        socket = await websocket_connect(request, subprotocols=list(protocols))
        for packet in packets:
            await socket.write_message(packet, binary=isinstance(packet, bytes))
        await asyncio.sleep(2)
        socket.close()
        return socket.close_code

    with ThreadPoolExecutor(1) as elsewhere:  # The browser's loop runs in this thread.
        return elsewhere.submit(asyncio.run, talk()).result()


def message(kind: str, **content) -> bytes:
    header = {"msg_id": "1", "username": "", "session": "2", "msg_type": kind, "version": "5.3", "date": ""}
    return pack("shell", header, {}, {}, content)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_reachable_without_the_token(service, place):
    for guess in ("", "?token=guess"):
        status, _, body = fetch(service.base + place + guess)
        assert status == 403 or b"These dashboards ask for a token" in body


def test_the_door_takes_the_token_and_nothing_else(service, context):
    visit = Visit(context, f"{service.base}/")
    page = visit.page
    for typed in ("guess", TOKEN):
        page.get_by_label("Token").fill(typed)
        page.get_by_role("button", name="Open").click()
        page.wait_for_load_state()
        assert page.get_by_text("That was not the token.").count() == (typed == "guess")
    page.get_by_role("link", name="Workbench").wait_for()
    assert not visit.strangers()
    page.close()


def test_gallery_has_a_card_for_each_lecture_and_finds_them_by_their_words(service, context):
    visit = Visit(context, f"{service.base}/?token={TOKEN}")
    cards = visit.page.locator(".card")
    cards.first.wait_for()
    assert cards.count() == len(LECTURES) and visit.page.get_by_role("link", name="Workbench").count() == 1
    visit.page.get_by_role("searchbox", name="Search").fill("magnet rand")
    visit.page.get_by_role("status").get_by_text(f"1 of {len(LECTURES)}").wait_for()
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.textContent") == "A magnet that melts"
    visit.page.get_by_role("searchbox", name="Search").fill("")
    visit.page.get_by_role("radio", name="all").focus()
    visit.page.keyboard.press("ArrowLeft")
    assert visit.page.get_by_role("radio", name="advanced").is_checked()
    advanced = sum("**Level:** advanced" in lecture.read_text() for lecture in LECTURES)
    visit.page.get_by_role("status").get_by_text(f"{advanced} of {len(LECTURES)}").wait_for()
    assert visit.page.locator(".card:visible").count() == advanced > 0
    visit.page.get_by_text("Which way for whom").press("Enter")
    visit.page.locator("dd").get_by_role("link", name="00").first.wait_for()
    for theme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=theme)
        visit.page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
        assert not Axe().run(visit.page).response["violations"]
    assert not visit.strangers() and not visit.complaints()
    visit.page.close()


def test_health_says_how_full_it_is(service):
    status, headers, body = fetch(f"{service.base}/mlphys/health")
    assert status == 200 and json.loads(body) == {"status": "ok", "sessions": 0, "limit": 1}
    assert headers["X-Content-Type-Options"] == "nosniff" and "object-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("way", WAYS_OUT)
def test_with_the_token_no_file_comes_out(service, way):
    status, _, body = fetch(service.base + way, Authorization=f"token {TOKEN}")
    assert b"root:" not in body and b"dear diary" not in body and b"import" not in body
    assert status >= 400


def test_a_listing_does_not_hold_the_source(service):
    status, _, body = fetch(f"{service.base}/voila/api/contents/workbench.ipynb", Authorization=f"token {TOKEN}")
    assert status == 200 and json.loads(body)["content"] is None


def seats(service) -> int:
    """How many the server counts as taken."""
    return json.loads(fetch(f"{service.base}/mlphys/health")[2])["sessions"]


def test_page_works_below_a_prefix_and_the_next_visitor_finds_no_seat(service, visit, browser):
    visit.run(True)
    visit.wait_for_frames(5)
    assert not visit.complaints() and not visit.strangers()
    context = browser.new_context()
    late = Visit(context, f"{service.base}/voila/render/workbench.ipynb?{urlencode({'token': TOKEN})}")
    late.page.get_by_role("heading", name="No seat left").wait_for()
    assert late.failures and late.failures[0].startswith("503") and len(service.kernels()) == 1
    visit.close()
    wait_until(lambda: not service.kernels() and seats(service) == 0, 30)
    late.page.get_by_role("link", name="Try again").click()
    late.wait_until_painted()
    late.close()
    context.close()


def test_a_visitor_cannot_run_code_nor_a_stranger_talk_to_the_kernel(service, visit):
    kernel = visit.look("kernelId")
    home, address = service.base.removesuffix("/course"), service.base.replace("http", "ws")
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in visit.page.context.cookies())
    code = {"code": "intruder = True", "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    asked = [message("execute_request", **code), message("comm_info_request")]
    knock(address, kernel, home, cookie, *asked)
    probe = Probe(service.kernels()[kernel])
    assert probe.ask("'intruder' in globals()") is False
    probe.close()
    for origin, bearer in (("http://elsewhere.example", cookie), (home, "")):
        with pytest.raises(HTTPClientError) as refused:
            knock(address, kernel, origin, bearer)
        assert refused.value.code == 403
    farewell = f"{service.base}/voila/api/shutdown/{kernel}"
    status, _, _ = fetch(farewell, "POST", Cookie=cookie, Origin="http://elsewhere.example")
    assert status in (403, 404) and kernel in service.kernels()


def test_noise_on_the_wire_ends_that_wire_and_nothing_else(service, visit):
    """Read as a table of offsets, any of these would keep the server busy until its memory is full."""
    kernel, cookie = visit.look("kernelId"), "; ".join(f"{c['name']}={c['value']}" for c in visit.page.context.cookies())
    home, address = service.base.removesuffix("/course"), service.base.replace("http", "ws")
    good = message("comm_info_request")
    for noise in (b"\xff" * 64, b"", good[:-1], (2**40).to_bytes(8, "little") + good[8:], "{}"):
        assert knock(address, kernel, home, cookie, noise) == 1007
    assert knock(address, kernel, home, cookie, json.dumps({"channel": "shell"}), protocols=()) == 1003
    began = time.monotonic()
    assert fetch(f"{service.base}/mlphys/health")[0] == 200 and time.monotonic() - began < 2
    visit.run(True)
    visit.wait_for_frames(5)
    assert not visit.complaints()


def test_a_name_that_is_not_ours_is_refused_where_there_is_no_token(voila):
    assert fetch(f"{voila.base}/", Host="elsewhere.example")[0] == 403
    assert fetch(f"{voila.base}/", Host="localhost")[0] == 200


def test_a_kernel_that_takes_too_much_memory_ends_and_the_page_says_so(service, visit):
    probe = Probe(service.kernels()[visit.look("kernelId")])
    probe.client.execute("greed = bytearray(b'x') * 800_000_000")
    wait_until(lambda: not service.kernels(), 20)
    probe.close()
    visit.page.get_by_text("The kernel behind this page has ended.").wait_for()
    assert '"event": "memory"' in service.log.read_text()


def test_told_to_end_the_server_ends_its_kernels(dashboards, tmp_path, context):
    server = Server("dashboards", dashboards, tmp_path / "server", "--warm", "workbench")
    server.settle(1)
    kernels = list(server.kernel_processes().values())
    server.process.terminate()
    assert server.process.wait(15) == 0
    assert kernels and psutil.wait_procs(kernels, timeout=5)[1] == []
    events = [json.loads(line)["event"] for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert events[0] == "start" and events[-1] == "stop"
