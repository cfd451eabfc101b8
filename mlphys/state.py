"""The state of a set of Markov chains: everything a run needs to go on, in memory or in a file."""

import hashlib
import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlphys import checks, devices
from mlphys.configurations import KINDS, Replicas, Sites, Strips


@dataclass
class State:
    """All that a set of Markov chains needs to go on: configuration, inverse temperatures, seed, counter, random streams.

    `beta` holds one inverse temperature for each chain (1/J) and may be changed between steps: a temperature scan, a
    ladder and a live slider are all just this. `cache` keeps named arrays that a sampler wants to find again, each
    where the sampler needs it: on the device of the configuration, or on the CPU.
    """

    configuration: Sites | Strips | Replicas
    beta: np.ndarray
    seed: int
    sweep: int = 0
    cache: dict[str, Any] = field(default_factory=dict)

    @property
    def chains(self) -> int:
        return len(self.beta)

    @property
    def device(self) -> str:
        """Where the configurations are: "cpu" or "cuda"."""
        return "cuda" if any(map(devices.on_gpu, vars(self.configuration).values())) else "cpu"

    def to(self, device: str) -> "State":
        """Move the configurations to `device`, "cpu" or "cuda", in place; the state goes on there as it would have here.

        Returns the state itself. Raises ValueError for a device that is not there.
        """
        device = devices.check(device)
        arrays = {name: value for name, value in vars(self.configuration).items() if _is_array(value)}
        for name, value in arrays.items():
            setattr(self.configuration, name, devices.to(value, device))
        if device == "cpu":  # to the GPU, samplers take what they need there
            self.cache = {name: devices.to(value, device) for name, value in self.cache.items()}
        return self

    @property
    def temperature(self) -> np.ndarray:
        """Temperature of each chain `(chains,)`, in J."""
        return 1 / self.beta

    @temperature.setter
    def temperature(self, value) -> None:
        self.beta[:] = 1 / checks.temperatures(value, self.chains)

    @property
    def x(self):
        """The configurations as a torch tensor `(chains, n_sites[, components])` on the state's device.

        It shares the state's memory where one number (or vector) is kept per site.
        """
        x = devices.tensor(self.configuration.spins())
        return x if self.device == "cpu" or devices.simulated() else x.cuda()

    def copy(self) -> "State":
        """An independent state with the same future."""
        return _unpack(*_pack(self))

    def save(self, path) -> None:
        """Write everything to `path`; a run resumed from it, on any device, continues bit for bit."""
        header, arrays = _pack(self)
        body = io.BytesIO()
        np.savez(body, allow_pickle=False, **{name: devices.to(array, "cpu") for name, array in arrays.items()})
        head = json.dumps({**header, "sha256": hashlib.sha256(body.getvalue()).hexdigest()}).encode()
        # Written beside its place and moved there, so that a crash never leaves half a state.
        unfinished = Path(f"{path}.unfinished")
        unfinished.write_bytes(_MAGIC + len(head).to_bytes(4, "little") + head + body.getvalue())
        os.replace(unfinished, path)

    @classmethod
    def load(cls, path, device: str = "cpu") -> "State":
        """Read a state that `save` wrote, on whatever device; ValueError when the file is something else or was damaged.

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
        return _unpack(header, dict(np.load(io.BytesIO(body)))).to(device)


_MAGIC = b"mlphys state 1\n"


def _is_array(value) -> bool:
    return isinstance(value, np.ndarray) or devices.on_gpu(value)


def _pack(state: State) -> tuple[dict, dict[str, Any]]:
    """A state as plain values and copied arrays."""
    content = vars(state.configuration)
    arrays = {f"configuration.{name}": value for name, value in content.items() if _is_array(value)}
    arrays |= {f"cache.{name}": value for name, value in state.cache.items()} | {"beta": state.beta}
    arrays = {name: devices.copy(value) for name, value in arrays.items()}
    plain = {name: value for name, value in content.items() if not _is_array(value)}
    header = {"kind": type(state.configuration).__name__, "plain": plain, "seed": state.seed, "sweep": state.sweep}
    return header, arrays


def _unpack(header: dict, arrays: dict[str, Any]) -> State:
    def named(group: str) -> dict[str, Any]:
        return {name.removeprefix(group): array for name, array in arrays.items() if name.startswith(group)}

    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in header["plain"].items()}
    content: dict = {**named("configuration."), **plain}
    configuration = KINDS[header["kind"]](**content)
    return State(configuration, arrays["beta"], header["seed"], header["sweep"], named("cache."))
