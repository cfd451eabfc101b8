"""Messages of vectors: channels of spins, weighed by scalars that the channels make among themselves."""

import math

import torch
from torch import nn
from torch.nn.functional import silu

from mlphys import checks
from mlphys.lattices import Lattice
from mlphys.nets.equivariant import EquivariantEnergy
from mlphys.random import torch_generator


class MessagePassing(EquivariantEnergy):
    """Vectors and scalars on every site, summed over shells in turn: vectors make scalars, scalars gate vectors.

    In each of the `rounds` every one of the `channels` of vectors, at first the spin S itself, is summed over the lattice
    with a weight for each shell. The invariants of these sums U, |U|² and U · S, make `hidden` scalars, by a network that is
    the same on each site; from the second round on it also hears the scalars of the round before, there and, for as many as
    there are channels, summed over shells. The scalars gate the vectors of the next round; a linear function of the last
    ones is summed over sites. All begins as the effective Heisenberg model that stands beside it. Raises ValueError for bad
    arguments, fewer scalars than channels among them.
    Source of such networks: Schütt, Unke, Gastegger 2021 (arXiv:2102.03150).

    >>> import mlphys as mp
    >>> model, x = MessagePassing(mp.square(6), channels=8), mp.DoubleExchange(mp.square(6)).random(3)
    >>> model.n_parameters, bool((model.energy(x) - model.energy(-x)).abs().max() < 1e-6)
    (2970, True)
    """

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, lattice: Lattice, channels: int = 16, hidden: int = 32, rounds: int = 2, shells: int | None = None,
        dtype: torch.dtype = torch.float32, seed: int = 0,
    ):  # fmt: skip
        super().__init__(lattice, shells, dtype)
        self.channels, self.rounds = checks.whole("channels", channels, 1), checks.whole("rounds", rounds, 1)
        if checks.whole("hidden", hidden, 1) < channels:
            raise ValueError(f"hidden={hidden!r} is not allowed: it must be at least channels={channels}")
        generator, sizes = torch_generator(seed, "weights"), (self.adjacency.sum((1, 2)) / lattice.n_sites).double()

        def parameter(*shape: int, width: float | torch.Tensor = 1.0) -> nn.Parameter:
            weights = torch.randn(shape, dtype=torch.float64, generator=generator) * width / math.sqrt(shape[-1])
            return nn.Parameter(weights.to(dtype))

        self.vector_sums = parameter(rounds, channels, self.shells + 1, width=1 / sizes.sqrt())
        self.scalar_sums = parameter(rounds - 1, channels, self.shells + 1, width=1 / sizes.sqrt())
        self.enter, self.bias = parameter(rounds, hidden, 2 * channels), parameter(rounds, hidden, 1, width=0.3)
        self.remember = parameter(rounds - 1, hidden, hidden + channels)
        self.gate, self.mix = parameter(rounds - 1, channels, hidden), parameter(rounds - 1, channels, channels)
        self.read = nn.Parameter(torch.zeros(1, hidden, dtype=dtype))
        # Invariants enter with mean 0 and deviation 1, as found by `start_from`.
        self.register_buffer("centre", torch.zeros(rounds, 2 * channels, 1, dtype=dtype))
        self.register_buffer("scale", torch.ones(rounds, 2 * channels, 1, dtype=dtype))

    def _rounds(self, s: torch.Tensor, calibrate: bool = False):
        """After each round: the summed vectors (channel, 3, batch · site), and the scalars (hidden, batch · site)."""
        batch, n = s.shape[:2]
        spins = s.permute(2, 0, 1).reshape(3, batch * n)
        vectors, scalars = spins.expand(self.channels, -1, -1), spins[:0]
        for k in range(self.rounds):
            # The sums of one channel over the lattice are one product of matrices.
            sums = torch.bmm(vectors.reshape(-1, 3 * batch, n), self.kernels(self.vector_sums[k])).view(-1, 3, batch * n)
            invariants = torch.cat([sums.square().sum(1), (sums * spins).sum(1)])
            if calibrate:
                self.centre[k], self.scale[k] = invariants.mean(1, keepdim=True), 1 / invariants.std(1, keepdim=True)
            hidden = torch.addmm(self.bias[k], self.enter[k], (invariants - self.centre[k]) * self.scale[k])
            if k:
                around = torch.bmm(scalars[: self.channels].view(-1, batch, n), self.kernels(self.scalar_sums[k - 1]))
                hidden = torch.addmm(hidden, self.remember[k - 1], torch.cat([scalars, around.flatten(1)]))
            scalars = silu(hidden)
            yield sums, scalars
            if k < self.rounds - 1:
                gated = sums * (self.gate[k] @ scalars)[:, None]
                vectors = (self.mix[k] @ gated.flatten(1)).view(-1, 3, batch * n)
                if calibrate:
                    length = vectors.square().sum(1).mean(1).sqrt()
                    self.mix[k] /= length[:, None]
                    vectors = vectors / length[:, None, None]

    def features(self, x):
        s = torch.as_tensor(x).to(self.adjacency)
        return [s, *(sums.mean(0).view(3, *s.shape[:2]).permute(1, 2, 0) for sums, _ in self._rounds(s))]

    def correction(self, s):
        *_, (_, scalars) = self._rounds(s)
        return (self.read @ scalars).view(s.shape[:2]).sum(1)

    @torch.no_grad()
    def start_from(self, x, energy):
        super().start_from(x, energy)
        for _ in self._rounds(torch.as_tensor(x[:256]).to(self.adjacency), calibrate=True):
            pass
