"""A full house: every visitor opens a dashboard, moves controls and plays its lattice; one more finds no seat.

The gate runs it with a few; ``pytest tests/browser/test_crowd.py --visitors 30 --seconds 60 -s`` is the whole thing.
"""

import asyncio
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import psutil
import pytest
from servers import Probe, Server
from wire import Visitor

from mlphys.lab.voila.service import KERNEL

MOVES = 3


@pytest.mark.alone
def test_a_full_house(dashboards, tmp_path, request, record_property):
    visitors, seconds = request.config.getoption("visitors"), request.config.getoption("seconds")
    server = Server("dashboards", dashboards, tmp_path / "server", "--sessions", str(visitors), "--idle", "20")
    names = sorted(path.name for path in dashboards.glob("[0-9]*.ipynb"))
    try:
        with ThreadPoolExecutor(1) as elsewhere:  # a browser's loop may run in this thread
            facts = elsewhere.submit(asyncio.run, evening(server, list(islice(cycle(names), visitors)), seconds)).result()
    finally:
        server.close()
    for name, value in facts.items():
        record_property(name, value)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))


async def evening(server: Server, names: list[str], seconds: float) -> dict:
    """All of it; returns what was measured."""
    guests = [Visitor(server.base, name) for name in names]
    await asyncio.gather(*(guest.open() for guest in guests))
    opened = [guest.seconds_to_open for guest in guests]
    late = Visitor(server.base, names[0])
    with pytest.raises(ConnectionRefusedError, match=r"(?s)503.*No seat left"):
        await late.open()
    await asyncio.gather(*(play(guest, seconds) for guest in guests))
    memory = [process.memory_full_info() for process in server.kernel_processes().values()]
    await asyncio.gather(*(guest.run() for guest in guests))  # which stops it
    await come_to_rest(guests)
    files = server.kernels()
    for guest in guests:
        assert not guest.complaints, (guest.notebook, guest.complaints)
        assert guest.frames > seconds / 2, f"{guest.notebook}: {guest.frames} frames"
        probe = Probe(files[guest.kernel])
        assert guest.checksums() == sorted(probe.ask("[view.checksum() for view in _all(LatticeView)]")), guest.notebook
        probe.close()
    await asyncio.gather(*(guest.leave(politely=i % 2 == 0) for i, guest in enumerate(guests)))
    left = time.monotonic()
    while server.kernels():
        assert time.monotonic() < left + 60, f"{len(server.kernels())} kernels live a minute after their visitors left"
        await asyncio.sleep(0.5)
    latencies = sorted(1000 * each for guest in guests for each in guest.latencies)
    assert len(latencies) >= MOVES * len(guests) * 0.9, "controls without a picture"
    largest = max(each.rss for each in memory) / 1e6
    assert largest < KERNEL, f"a kernel takes {largest:.0f} MB, the seats count on {KERNEL}"
    rates: Counter = Counter()
    for guest in guests:
        rates[guest.notebook] += guest.frames / seconds / names.count(guest.notebook)
    return {
        "visitors": len(guests),
        "opened after, s": (round(statistics.median(opened), 1), round(max(opened), 1)),
        "control to picture, ms, median and 95 %": tuple(
            round(latencies[int(part * (len(latencies) - 1))]) for part in (0.5, 0.95)
        ),
        "frames/s": {name: round(rate, 1) for name, rate in rates.items()},
        "players that paused": sum(guest.pauses > 0 for guest in guests),
        "largest kernel, MB": round(largest),
        "all kernels, MB (shared pages once)": round(sum(each.pss for each in memory) / 1e6),
        "kernels gone after, s": round(time.monotonic() - left, 1),
        "processors": psutil.cpu_count(),
    }


async def come_to_rest(guests: list[Visitor], seconds: float = 40) -> None:
    """Wait until no picture has come for three seconds: many kernels on few processors need a while to hear of it."""
    painted, since, deadline = -1, time.monotonic(), time.monotonic() + seconds
    while time.monotonic() - since < 3:
        assert time.monotonic() < deadline, f"pictures still come {seconds} s after all have stopped"
        if painted != (painted := sum(guest.frames for guest in guests)):
            since = time.monotonic()
        await asyncio.sleep(0.2)


async def play(guest: Visitor, seconds: float) -> None:
    """Run for so long; in the meantime move the first controls, one after the other."""
    await guest.run()
    chosen = list(islice(cycle(guest.controls()), MOVES))
    for group, part in chosen:
        await guest.watch(seconds / (MOVES + 1))
        await guest.move(group, part)
    await guest.watch(seconds / (MOVES + 1))
