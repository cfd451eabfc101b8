"""A visitor without a browser: opens a dashboard and speaks to its kernel as the page would, over the same websocket."""

import asyncio
import json
import re
import struct
import time
import uuid
import zlib
from itertools import accumulate, pairwise

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

KERNEL = re.compile(r'"kernelId": ?"([0-9a-f-]{36})"')
CONTROL = "jupyter.widget.control"
PROTOCOL = {"comm_open": "1.0.0"}
SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"


class Visitor:
    """One page: the widgets' state as a browser would hold it in `models`, what went wrong in `complaints`."""

    def __init__(self, base: str, notebook: str):
        self.base, self.notebook = base, notebook
        self.models: dict[str, dict] = {}
        self.complaints: list[str] = []
        self.latencies: list[float] = []
        self.frames = self.pauses = 0
        self._asked: dict[str, float] = {}
        self._done: set[str | None] = set()
        self._changed: tuple[str, float, int] | None = None

    async def open(self) -> None:
        """Ask for the page, wait until its cells have run, and fetch the state of its widgets."""
        began = time.monotonic()
        address = f"{self.base}/voila/render/{self.notebook}"
        client = AsyncHTTPClient(force_instance=True)  # tornado's shared one asks for ten pages at a time
        answer = await client.fetch(HTTPRequest(address, connect_timeout=300, request_timeout=300), raise_error=False)
        if answer.code != 200:
            raise ConnectionRefusedError(f"{answer.code} {answer.body[:2000].decode()}")
        self.cookie = "; ".join(line.split(";")[0] for line in answer.headers.get_list("Set-Cookie"))
        self.kernel = KERNEL.search(answer.body.decode())[1]
        headers = {"Origin": self.base, "Cookie": self.cookie}
        address = f"{self.base.replace('http', 'ws')}/api/kernels/{self.kernel}/channels?session_id={uuid.uuid4()}"
        self.socket = await websocket_connect(HTTPRequest(address, headers=headers), subprotocols=[SUBPROTOCOL])
        self._reader = asyncio.create_task(self._read())
        comm = uuid.uuid4().hex
        opened = await self._send("comm_open", comm_id=comm, target_name=CONTROL, target_module=None, data={})
        while opened not in self._done:  # ipykernel 7 now and then takes the second message before the first
            await asyncio.sleep(0.02)
        await self._send("comm_msg", comm_id=comm, data={"method": "request_states"})
        deadline = time.monotonic() + 120
        while not self.models:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.notebook}: no widgets after two minutes")
            await asyncio.sleep(0.05)
        self.seconds_to_open = time.monotonic() - began

    def of(self, trait: str) -> list[str]:
        """The models that have this trait."""
        return [key for key, state in self.models.items() if trait in state]

    async def run(self) -> None:
        """Press run on the first player."""
        await self._custom(self.of("can_reset")[0], {"action": "toggle"})

    async def watch(self, seconds: float) -> None:
        """Look on; a page tells a running player so every two seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for player in self.of("can_reset"):
                await self._custom(player, {"seen": True})
            await asyncio.sleep(min(2, left))

    def controls(self) -> list[tuple[str, dict]]:
        """Every control: its group and its specification."""
        return [(group, part) for group in self.of("specification") for part in self.models[group]["specification"]]

    async def move(self, group: str, part: dict) -> None:
        """Set a control to another value; the time until the picture that follows is noted."""
        now = self.models[group][part["name"]]
        if part["kind"] == "range":
            value = part["low"] if abs(now - part["low"]) > abs(now - part["high"]) else part["high"]
        else:
            value = next((option for option in part.get("options", [not now]) if str(option) != str(now)), now)
        self.models[group][part["name"]] = value
        self._changed = None
        asked = await self._send("comm_msg", comm_id=group, data={"method": "update", "state": {part["name"]: value}})
        self._asked[asked] = time.monotonic()

    async def leave(self, politely: bool) -> None:
        """Close the page, or vanish as a browser does that loses its network."""
        self._reader.cancel()
        self.socket.close()
        if politely:
            xsrf = re.search(r"_xsrf=([^;]+)", self.cookie)
            address = f"{self.base}/voila/api/shutdown/{self.kernel}?_xsrf={xsrf[1] if xsrf else ''}"
            headers = {"Cookie": self.cookie, "Origin": self.base}
            await AsyncHTTPClient().fetch(HTTPRequest(address, "POST", headers, body=""))

    def checksums(self) -> list[str]:
        """Of every lattice as this page would paint it."""
        return sorted(f"{zlib.adler32(bytes(self.models[view]['pixels'])):08x}" for view in self.of("pixels"))

    async def _custom(self, model: str, content: dict) -> None:
        await self._send("comm_msg", comm_id=model, data={"method": "custom", "content": content})

    async def _send(self, kind: str, **content) -> str:
        name = uuid.uuid4().hex
        header = {"msg_id": name, "username": "", "session": "visitor", "msg_type": kind, "version": "5.3", "date": ""}
        metadata = {"version": PROTOCOL[kind]} if kind in PROTOCOL else {}
        await self.socket.write_message(pack("shell", header, {}, metadata, content), binary=True)
        return name

    async def _read(self) -> None:
        while (packet := await self.socket.read_message()) is not None:
            header, parent, content, buffers = unpack(packet)
            kind = header["msg_type"]
            if kind == "error" or (kind == "stream" and content["name"] == "stderr"):
                self.complaints.append(str(content)[:500])
            elif kind == "status" and content["execution_state"] == "idle":
                self._done.add(parent.get("msg_id"))
            elif kind == "comm_msg":
                await self._heard(content["comm_id"], content["data"], buffers, parent.get("msg_id"))
        self.complaints.append("the connection was closed")

    async def _heard(self, comm: str, data: dict, buffers: list[memoryview], parent: str | None) -> None:
        if data["method"] == "update_states":
            for model, each in data["states"].items():
                self.models[model] = each["state"]
            for (model, *path), buffer in zip(data["buffer_paths"], buffers, strict=True):
                put(self.models[model], path[1:] if path[0] == "state" else path, buffer)
        elif data["method"] == "echo_update" and parent in self._asked:
            # The kernel has it. The frame now in the making may still be of before; the one after that is not.
            self._changed = (comm, self._asked.pop(parent), 2)
        elif data["method"] == "update" and comm in self.models:
            for path, buffer in zip(data.get("buffer_paths", []), buffers, strict=True):
                put(data["state"], path, buffer)
            self.models[comm] |= data["state"]
            text = data["state"].get("message", "")
            if text.startswith("paused"):  # the kernel has not heard for ten seconds that the page is still there
                self.pauses += 1
            elif text:
                self.complaints.append(text)
            if "frame" in data["state"]:
                await self._painted(comm, data["state"])

    async def _painted(self, comm: str, state: dict) -> None:
        await self._custom(comm, {"painted": state["frame"]})
        if "pixels" in self.models[comm]:
            self.frames += 1
            if self._changed:
                group, since, left = self._changed
                self._changed = (group, since, left - 1) if left > 1 else None
                if left == 1:
                    self.latencies.append(time.monotonic() - since)


def put(state, path: list, buffer: memoryview) -> None:
    """Write a buffer to where it belongs in a state."""
    *way, last = path
    for step in way:
        state = state[step]
    state[last] = buffer


def pack(channel: str, *parts: dict) -> bytes:
    """A message for the websocket: a table of where each part begins and the last one ends, then the parts."""
    pieces = [channel.encode(), *(json.dumps(part).encode() for part in parts)]
    ends = list(accumulate(map(len, pieces), initial=8 * (len(pieces) + 2)))
    return struct.pack(f"<{len(ends) + 1}Q", len(ends), *ends) + b"".join(pieces)


def unpack(packet: bytes) -> tuple[dict, dict, dict, list[memoryview]]:
    """Header, parent header, content and buffers of such a message."""
    (count,) = struct.unpack_from("<Q", packet)
    ends = struct.unpack_from(f"<{count}Q", packet, 8)
    _, header, parent, _, content, *buffers = (memoryview(packet)[first:last] for first, last in pairwise(ends))
    return json.loads(bytes(header)), json.loads(bytes(parent)), json.loads(bytes(content)), buffers
