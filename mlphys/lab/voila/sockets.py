"""What a page may send to its kernel: well-formed messages of one protocol.

Jupyter's servers read a table of offsets before they have seen whether it can be one, and Voila reads every binary message
as of the newer protocol: one visitor who speaks the older, or sends noise, would keep the whole server busy until its memory
is full.
"""

from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

PROTOCOL = "v1.kernel.websocket.jupyter.org"
# Channel, four parts of a message and its buffers.
LEAST, MOST = 5, 200
WORD = 8
UNSUPPORTED, MALFORMED = 1003, 1007


def well_formed(message: str | bytes) -> bool:
    """Whether a message begins with a table that says where each of its parts begins, the first after it, and the last ends.

    >>> table = [6, 56, 61, 63, 65, 67, 69]
    >>> message = b"".join(each.to_bytes(8, "little") for each in table) + b"shell{}{}{}{}"
    >>> well_formed(message), well_formed(message[:-1]), well_formed(bytes(8)), well_formed("{}")
    (True, False, False, False)
    """
    if not isinstance(message, bytes) or not LEAST + 1 <= (count := _word(message, 0)) <= MOST:
        return False
    ends = [_word(message, place) for place in range(1, count + 1)]
    return ends[0] == WORD * (count + 1) and ends == sorted(ends) and ends[-1] == len(message)


def _word(message: bytes, place: int) -> int:
    return int.from_bytes(message[WORD * place : WORD * (place + 1)], "little")


class PageSocket(VoilaKernelWebsocketHandler):
    """A page's connection to its kernel, closed on whoever speaks otherwise."""

    async def open(self, kernel_id):
        if self.selected_subprotocol != PROTOCOL:
            self.close(UNSUPPORTED, f"{PROTOCOL} alone is spoken here")
            return
        await super().open(kernel_id)

    def on_message(self, ws_message):
        if well_formed(ws_message):
            super().on_message(ws_message)
        else:
            self.close(MALFORMED, "not a message")
