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
    """Vector channels on every site, summed over shells and gated by invariants; scalars of each site add up to the energy.

    In each of the `rounds` every channel is summed over the lattice with a weight for each shell; the squared lengths of the
    `channels` sums go into a network of one hidden layer of `hidden` units, the same on each site, whose outputs gate the
    channels of the next round and are remembered for the read-out. The effective Heisenberg model stands beside it, and all
    begins as that. Source of such networks: Schütt, Unke, Gastegger 2021 (arXiv:2102.03150).

    >>> import mlphys as mp
    >>> model = MessagePassing(mp.square(6), channels=8, hidden=16)
    >>> x = mp.DoubleExchange(mp.square(6)).random(3)
    >>> bool((model.energy(x) - model.energy(-x)).abs().max() < 1e-6)
    True
    """

    def __init__(
        self, lattice: Lattice, channels: int = 16, rounds: int = 2, hidden: int = 32, shells: int | None = None,
        dtype: torch.dtype = torch.float32, seed: int = 0,
    ):  # fmt: skip
        super().__init__(lattice, shells, dtype)
        channels, hidden = checks.whole("channels", channels, 1), checks.whole("hidden", hidden, 1)
        self.channels, self.rounds = channels, checks.whole("rounds", rounds, 1)
        generator = torch_generator(seed, "weights")

        def parameter(*shape: int, width=1.0) -> nn.Parameter:
            weights = torch.randn(shape, dtype=torch.float64, generator=generator) * width / math.sqrt(shape[-1])
            return nn.Parameter(weights.to(dtype))

        sizes = (self.adjacency.sum((1, 2)) / lattice.n_sites).double()
        self.sums = parameter(rounds, channels, self.shells + 1, width=1 / sizes.sqrt())
        self.enter, self.enter_bias = parameter(rounds, hidden, channels), parameter(rounds, hidden, 1, width=0.1)
        self.remember = parameter(rounds - 1, hidden, hidden)
        self.gate, self.mix = parameter(rounds - 1, channels, hidden), parameter(rounds - 1, channels, channels)
        self.read = nn.Parameter(torch.zeros(1, hidden, dtype=dtype))

    def _rounds(self, s: torch.Tensor):
        """After each round: the channels (channel, 3, batch, site), and what each site remembers (hidden, batch · site)."""
        batch, n = s.shape[:2]
        channels = s.permute(2, 0, 1).reshape(1, 3 * batch, n).expand(self.channels, -1, -1)
        memory: torch.Tensor | None = None
        for k in range(self.rounds):
            # The sums of one channel over the lattice are one product of matrices.
            sums = torch.bmm(channels, self.kernels(self.sums[k])).view(self.channels, 3, batch * n)
            hidden = torch.addmm(self.enter_bias[k], self.enter[k], sums.square().sum(1))
            memory = silu(hidden if memory is None else torch.addmm(hidden, self.remember[k - 1], memory))
            yield sums.view(self.channels, 3, batch, n), memory
            if k < self.rounds - 1:
                gated = sums * (self.gate[k] @ memory)[:, None]
                channels = (self.mix[k] @ gated.flatten(1)).view(self.channels, 3 * batch, n)

    def features(self, x):
        s = torch.as_tensor(x).to(self.adjacency)
        return [s, *(sums.mean(0).permute(1, 2, 0) for sums, _ in self._rounds(s))]

    def correction(self, s):
        *_, (_, memory) = self._rounds(s)
        return (self.read @ memory).view(s.shape[:2]).sum(1)
