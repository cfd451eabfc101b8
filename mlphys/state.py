"""The state of a set of Markov chains: everything a run needs to go on, in memory or in a file."""

import hashlib
import io
import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from mlphys import checks
from mlphys.configurations import KINDS, Replicas, Sites, Strips


@dataclass
class State:
    """All that a set of Markov chains needs to go on: configuration, inverse temperatures, seed, counter, random streams.

    `beta` holds one inverse temperature for each chain (1/J) and may be changed between steps: a temperature scan, a
    ladder and a live slider are all just this. `cache` keeps named arrays that a sampler wants to find again.
    """

    configuration: Sites | Strips | Replicas
    beta: np.ndarray
    seed: int
    sweep: int = 0
    cache: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def chains(self) -> int:
        return len(self.beta)

    @property
    def temperature(self) -> np.ndarray:
        """Temperature of each chain `(chains,)`, in J."""
        return 1 / self.beta

    @temperature.setter
    def temperature(self, value) -> None:
        self.beta[:] = 1 / checks.temperatures(value, self.chains)

    @property
    def x(self):
        """The configurations as a torch tensor `(chains, n_sites)`; it shares memory where one number is kept per site."""
        import torch

        return torch.from_numpy(self.configuration.spins())

    def copy(self) -> "State":
        """An independent state with the same future."""
        return _unpack(*_pack(self))

    def save(self, path) -> None:
        """Write everything to `path`; a run resumed from it continues bit for bit."""
        header, arrays = _pack(self)
        body = io.BytesIO()
        np.savez(body, allow_pickle=False, **arrays)
        head = json.dumps({**header, "sha256": hashlib.sha256(body.getvalue()).hexdigest()}).encode()
        # Written beside its place and moved there, so that a crash never leaves half a state.
        unfinished = Path(f"{path}.unfinished")
        unfinished.write_bytes(_MAGIC + len(head).to_bytes(4, "little") + head + body.getvalue())
        os.replace(unfinished, path)

    @classmethod
    def load(cls, path) -> "State":
        """Read a state that `save` wrote; ValueError when the file is something else or was damaged.

        >>> import tempfile, mlphys as mp
        >>> state = mp.Metropolis(mp.Ising(mp.square(4))).init(chains=2, temperature=2.0, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     state.save(f"{folder}/state")
        ...     bool((mp.State.load(f"{folder}/state").x == state.x).all())
        True
        """
        data = Path(path).read_bytes()
        if not data.startswith(_MAGIC):
            raise ValueError(f"path={str(path)!r} is not a state file of mlphys")
        try:
            start = len(_MAGIC) + 4
            size = int.from_bytes(data[len(_MAGIC) : start], "little")
            header = json.loads(data[start : start + size])
            body = data[start + size :]
            intact = hashlib.sha256(body).hexdigest() == header.pop("sha256")
        except (ValueError, KeyError):
            intact = False
        if not intact:
            raise ValueError(f"path={str(path)!r} is damaged: its content does not match its checksum; save the state again")
        return _unpack(header, dict(np.load(io.BytesIO(body))))


_MAGIC = b"mlphys state 1\n"


def _pack(state: State) -> tuple[dict, dict[str, np.ndarray]]:
    """A state as plain values and copied arrays."""
    content = {name: getattr(state.configuration, name) for name in (f.name for f in fields(state.configuration))}
    arrays = {f"configuration.{name}": value.copy() for name, value in content.items() if isinstance(value, np.ndarray)}
    arrays |= {f"cache.{name}": value.copy() for name, value in state.cache.items()} | {"beta": state.beta.copy()}
    plain = {name: value for name, value in content.items() if not isinstance(value, np.ndarray)}
    header = {"kind": type(state.configuration).__name__, "plain": plain, "seed": state.seed, "sweep": state.sweep}
    return header, arrays


def _unpack(header: dict, arrays: dict[str, np.ndarray]) -> State:
    def named(group: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(group): array for name, array in arrays.items() if name.startswith(group)}

    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in header["plain"].items()}
    content: dict = {**named("configuration."), **plain}
    configuration = KINDS[header["kind"]](**content)
    return State(configuration, arrays["beta"], header["seed"], header["sweep"], named("cache."))
