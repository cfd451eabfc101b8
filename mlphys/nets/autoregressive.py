"""Autoregressive wave functions: every spin given those before it, so that |ψ|² is normalised and drawn from exactly."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid, pad, tanh

from mlphys.checks import whole
from mlphys.lattices import Lattice
from mlphys.nets.wavefunctions import WaveFunction
from mlphys.random import torch_generator


class Autoregressive(WaveFunction):
    """log ψ = ½ Σ_t log p(s_t | s_1 … s_t−1) + i Σ_t s_t φ_t(s_1 … s_t−1), with spins s in the order of a snake.

    Subclasses say how the log odds of s_t = 1, and φ_t with `phase`, follow from the spins before: all at once in `outputs`,
    one after the other in `advance`. With `magnetisation`, a value of Σσᶻ, only its states have an amplitude: the odds are
    those of drawing from what is left of both kinds, times what the network says.
    """

    order: torch.Tensor
    output: torch.Tensor
    batch = 8192

    def __init__(self, lattice: Lattice, magnetisation: int | None, phase: bool):
        super().__init__()
        self.lattice, self.n_sites, self.n_outputs = lattice, lattice.n_sites, 1 + bool(phase)
        if magnetisation is not None and magnetisation not in range(-self.n_sites, self.n_sites + 1, 2):
            rule = f"Σσᶻ of {self.n_sites} spins is between ±{self.n_sites}, in steps of 2"
            raise ValueError(f"magnetisation={magnetisation!r} is not allowed: {rule}")
        self.magnetisation = magnetisation
        self.register_buffer("order", torch.from_numpy(_snake(lattice)), persistent=False)

    def _draw(self, seed: int, **shapes: tuple[int, ...]) -> None:
        """Parameters of unit variance over the number of their inputs, biases zero, outputs small: |ψ| nearly constant."""
        generator = torch_generator(seed, "weights")
        for name, shape in shapes.items():
            width = {"bias": 0.0, "output": 0.1}.get(name, 1.0) / shape[-2] ** 0.5
            values = torch.randn(shape, dtype=torch.float64, generator=generator)
            self.register_parameter(name, nn.Parameter(width * values))

    def outputs(self, s: torch.Tensor) -> torch.Tensor:
        """Log odds, and φ, of all steps `(batch, n_sites, 1 or 2)`: at step t of s[:, :t] alone."""
        memory = self.start(s)
        return torch.stack([self.advance(t, s, memory) for t in range(self.n_sites)], dim=1)

    def start(self, s: torch.Tensor) -> Any:
        """What `advance` remembers, before the first step."""
        raise NotImplementedError

    def advance(self, t: int, s: torch.Tensor, memory: Any) -> torch.Tensor:
        """Row t of `outputs`, `(batch, 1 or 2)`, from s[:, :t] and what the steps before left in `memory`."""
        raise NotImplementedError

    def _prior(self, t, before: torch.Tensor) -> torch.Tensor | float:
        """Log odds of what is left of both kinds, after t spins with the sum `before`; ∓∞ where only one kind is."""
        if self.magnetisation is None:
            return 0.0
        up = (self.n_sites + self.magnetisation - t - before) / 2
        return up.clamp(min=0).log() - (self.n_sites - t - up).clamp(min=0).log()

    def _terms(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        s = x[:, self.order].to(self.output.dtype)
        outputs = self.outputs(s)
        steps = torch.arange(self.n_sites, dtype=s.dtype, device=s.device)
        return s, outputs, logsigmoid(s * (outputs[..., 0] + self._prior(steps, s.cumsum(1) - s))).sum(1)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log |ψ|² `(batch,)`, normalised; −∞ for another magnetisation than the given one."""
        return self._terms(x)[2]

    def log_psi(self, x):
        s, outputs, log_prob = self._terms(x)
        return log_prob / 2 if self.n_outputs == 1 else torch.complex(log_prob / 2, (s * outputs[..., 1]).sum(1))

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """n independent states of |ψ|², int8 `(n, n_sites)`, and their log |ψ|² `(n,)`."""
        uniform = torch.rand(self.n_sites, whole("n", n, 1), dtype=torch.float64, generator=torch_generator(seed, "sample"))
        s = torch.zeros(n, self.n_sites, dtype=self.output.dtype, device=self.device)
        log_prob, memory = torch.zeros_like(s[:, 0]), self.start(s)
        for t, u in enumerate(uniform.to(self.device)):
            odds = self.advance(t, s, memory)[:, 0] + self._prior(t, s.sum(1))
            s[:, t] = torch.where(u < odds.sigmoid(), 1.0, -1.0)
            log_prob += logsigmoid(s[:, t] * odds)
        x = torch.empty_like(s, dtype=torch.int8)
        x[:, self.order] = s.to(torch.int8)
        return x, log_prob


class MaskedConvolution(Autoregressive):
    """Convolutions that look back only: layer after layer, each site sees itself and the one 1, 2, 4, … steps before.

    After log₂ n_sites `layers`, the default, everything before has been seen. `channels` numbers stand at each site;
    magnetisation: a value of Σσᶻ to which states are restricted, None for all; phase: complex amplitudes, else positive.
    Raises ValueError for bad arguments. Sources: van den Oord et al. 2016 (arXiv:1609.03499); as wave functions Sharir et
    al. 2020 (10.1103/PhysRevLett.124.020503).

    >>> from mlphys.lattices import chain
    >>> x, log_q = MaskedConvolution(chain(10), magnetisation=0).sample(3, seed=1)
    >>> x.shape, x.sum(1).tolist()
    (torch.Size([3, 10]), [0, 0, 0])
    """

    spin: torch.Tensor
    position: torch.Tensor
    mix: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self, lattice: Lattice, channels: int = 16, layers: int | None = None, magnetisation: int | None = None,
        phase: bool = False, seed: int = 0,
    ):  # fmt: skip
        super().__init__(lattice, magnetisation, phase)
        layers = (self.n_sites - 1).bit_length() if layers is None else layers
        c, n = whole("channels", channels, 1), whole("layers", layers, 1)
        shapes = {"spin": (1, c), "position": (self.n_sites, c), "mix": (n, 2 * c, c), "bias": (n, 1, c)}
        self._draw(seed, **shapes, output=(c, self.n_outputs))

    def outputs(self, s):
        n = self.n_sites
        h = pad(s[:, :-1], (1, 0))[..., None] * self.spin + self.position
        for k, (mix, bias) in enumerate(zip(self.mix, self.bias, strict=True)):
            h = h + tanh(torch.cat([h, pad(h, (0, 0, 2**k, 0))[:, :n]], dim=-1) @ mix + bias)
        return h @ self.output

    def start(self, s):
        return [[] for _ in self.mix]

    def advance(self, t, s, memory):
        before = s[:, t - 1, None] if t else torch.zeros_like(s[:, :1])
        h = before * self.spin + self.position[t]
        for k, (mix, bias, seen) in enumerate(zip(self.mix, self.bias, memory, strict=True)):
            seen.append(h)
            past = seen[t - 2**k] if t >= 2**k else torch.zeros_like(h)
            h = h + tanh(torch.cat([h, past], dim=-1) @ mix + bias)
        return h @ self.output


class Recurrent(Autoregressive):
    """A gated recurrent cell along the snake: what it remembers, the last spin and earlier neighbours give the next odds.

    Beside its memory of the step before, `hidden` numbers, the cell reads those of neighbours on the lattice that came
    earlier still. Other arguments and errors as for `MaskedConvolution`. Sources: Cho et al. 2014 (arXiv:1406.1078); as
    wave functions Hibat-Allah et al. 2020 (10.1103/PhysRevResearch.2.023358).

    >>> from mlphys.lattices import square
    >>> psi = Recurrent(square(2, 4), hidden=4, phase=True)
    >>> x, log_q = psi.sample(3, seed=1)
    >>> bool((2 * psi.log_psi(x).real - log_q).abs().max() < 1e-12)
    True
    """

    cell: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self, lattice: Lattice, hidden: int = 16, magnetisation: int | None = None, phase: bool = False, seed: int = 0
    ):
        super().__init__(lattice, magnetisation, phase)
        c = whole("hidden", hidden, 1)
        self._draw(seed, cell=(2 * c + 2, 2 * c), bias=(1, 2 * c), output=(c, self.n_outputs))
        step = np.argsort(self.order.numpy())
        near = [sorted(set(step[lattice.neighbours[site]].tolist())) for site in self.order.tolist()]
        # Steps before the last one at which a neighbour was visited.
        self.earlier = [[other for other in others if other < t - 1] for t, others in enumerate(near)]

    def start(self, s):
        return [s.new_zeros(len(s), self.output.shape[0])]

    def advance(self, t, s, memory):
        h, zero = memory[-1], torch.zeros_like(s[:, :1])
        spin = s[:, t - 1, None] if t else zero
        spins = sum((s[:, other, None] for other in self.earlier[t]), zero)
        others = sum((memory[other + 1] for other in self.earlier[t]), torch.zeros_like(h))
        gate, new = (torch.cat([h, others, spin, spins], dim=-1) @ self.cell + self.bias).chunk(2, dim=-1)
        h = h + gate.sigmoid() * (tanh(new) - h)
        memory.append(h)
        return h @ self.output


def _snake(lattice: Lattice) -> np.ndarray:
    """Sites in an order of neighbours: every other row backwards, `(n_sites,)`."""
    sites = np.arange(lattice.n_sites).reshape(lattice.shape)
    for axis in range(sites.ndim - 1, 0, -1):
        rows = sites.reshape(*lattice.shape[:axis], -1).copy()
        rows[..., 1::2, :] = rows[..., 1::2, ::-1]
        sites = rows
    return sites.ravel()
