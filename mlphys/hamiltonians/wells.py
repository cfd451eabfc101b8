"""Actions with many separate modes of known weights: what samplers of energies are measured on."""

import math

from mlphys.checks import whole
from mlphys.exact.values import finite
from mlphys.hamiltonians.fields import RealField
from mlphys.lattices import chain
from mlphys.random import generator


class ManyWell(RealField):
    """Independent double wells, S = Σ_pairs [a⁴ − 6 a² − a/2 + b²/2] of pairs (a, b) of neighbours: 2^(n_sites/2) modes.

    `modes(x)` `(batch, n_sites/2)` is 1 where a is in its deeper well, a > 0. x is float64 `(batch, n_sites)`. Raises
    ValueError unless n_sites is even. Sources: Noé et al. 2019 (10.1126/science.aaw1147); Midgley et al. 2023
    (arXiv:2208.01893).

    >>> import mlphys as mp
    >>> wells = ManyWell(32)
    >>> exact = mp.exact.thermal(wells, 1.0)
    >>> print(f"{exact.log_partition:.6f} {exact.modes[0]:.6f}")
    164.695675 0.844307
    """

    def __init__(self, n_sites: int = 32):
        if whole("n_sites", n_sites, 2) % 2:
            raise ValueError(f"n_sites={n_sites!r} is not allowed: it must be even")
        self.lattice = chain(n_sites)
        self.observables = {"energy": lambda x: self.energy(x) / n_sites, "modes": lambda x: self.modes(x).mean(1)}

    def energy(self, x):
        """The action S `(batch,)`."""
        x = self.check_x(x)
        a, b = x[:, 0::2], x[:, 1::2]
        return (a**4 - 6 * a**2 - a / 2 + b**2 / 2).sum(1)

    def force(self, x):
        """−∂S/∂x, `(batch, n_sites)`."""
        import torch

        x = self.check_x(x)
        a, b = x[:, 0::2], x[:, 1::2]
        return torch.stack([-4 * a**3 + 12 * a + 0.5, -b], 2).flatten(1)

    def modes(self, x):
        return (self.check_x(x)[:, 0::2] > 0).to(x)

    def __repr__(self) -> str:
        return f"ManyWell({self.lattice.n_sites})"


class ManyModes(RealField):
    """Equal normal modes in the plane, S = −ln of their density: means uniform in [−reach, reach]², one `width` for all.

    The means `(modes, 2)` are drawn from `seed`, so that this is the benchmark of Midgley et al. 2023 (arXiv:2208.01893),
    whose width is ln(1 + e), with other places. `modes(x)` `(batch, number)` are the probabilities of each mode given x.
    x is float64 `(batch, 2)`.

    >>> modes = ManyModes(seed=1)
    >>> modes.modes(modes.means[:3]).argmax(1).tolist()
    [0, 1, 2]
    """

    def __init__(self, number: int = 40, reach: float = 40.0, width: float = math.log(1 + math.e), seed: int = 0):
        import torch

        self.lattice, self.observables = chain(2), {"energy": lambda x: self.energy(x) / 2}
        self.number, self.seed = whole("number", number, 1), seed
        self.reach, self.width = finite("reach", reach), finite("width", width)
        if width <= 0:
            raise ValueError(f"width={width!r} is not allowed: it must be positive")
        self.means = torch.from_numpy(generator(seed, "means").uniform(-reach, reach, size=(number, 2)))

    def _log_densities(self, x):
        """Of each mode with its weight, `(batch, number)`."""
        x = self.check_x(x)
        square = ((x[:, None, :] - self.means.to(x)) ** 2).sum(2)
        return -square / (2 * self.width**2) - math.log(2 * math.pi * self.width**2 * self.number)

    def energy(self, x):
        """The action S `(batch,)`."""
        return -self._log_densities(x).logsumexp(1)

    def force(self, x):
        """−∂S/∂x, `(batch, 2)`."""
        return (self.modes(x) @ self.means.to(x) - x) / self.width**2

    def modes(self, x):
        return self._log_densities(x).softmax(1)

    def __repr__(self) -> str:
        return f"ManyModes({self.number}, reach={self.reach:g}, width={self.width:g}, seed={self.seed})"
