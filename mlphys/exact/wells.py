"""Actions with separate modes, by quadrature: the trapezoidal rule converges exponentially. k_B = 1."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlphys.exact.values import Exact, plain, positive


def many_well(hamiltonian: Any, temperature: ArrayLike = 1.0) -> Exact:
    """Exact values of `ManyWell`, `modes` the weight of the deeper well in each pair `(pairs,)`.

    temperature: > 0, scalar or array, 1 for the action itself.

    >>> import mlphys as mp
    >>> print(f"{many_well(mp.ManyWell(2)).log_partition:.6f}")
    10.293480
    """
    temperatures, pairs = positive(temperature)[..., None], hamiltonian.lattice.n_sites // 2
    edge = 3 + temperatures.max() ** 0.25 * 4
    a = np.linspace(-edge, edge, 40_001)
    # Pairs are independent, and b is normal: k_B T/2 and k_B/2 are its energy and heat capacity.
    action, deeper = a**4 - 6 * a**2 - a / 2, np.heaviside(a, 0.5)
    log_z, energy, heat_capacity, weight = _moments(action, deeper, temperatures, 2 * edge / 40_000)
    temperatures = temperatures[..., 0]
    return Exact(
        energy=plain((energy + temperatures / 2) / 2),
        heat_capacity=plain((heat_capacity + 0.5) / 2),
        log_partition=plain(pairs * (log_z + np.log(2 * np.pi * temperatures) / 2)),
        modes=np.repeat(weight[..., None], pairs, axis=-1),
    )


def many_modes(hamiltonian: Any, temperature: ArrayLike = 1.0) -> Exact:
    """Exact values of `ManyModes`, `modes` the weights `(number,)`, equal at temperature 1 and not known at others.

    temperature: > 0, scalar or array, 1 for the action itself.

    >>> import mlphys as mp
    >>> abs(many_modes(mp.ManyModes(5, reach=4.0)).log_partition) < 1e-12
    True
    """
    import torch

    temperatures, number, width = positive(temperature)[..., None], hamiltonian.number, hamiltonian.width
    edge = hamiltonian.reach + 9 * width * max(1, temperatures.max() ** 0.5)
    line = torch.arange(-edge, edge, width * min(1, temperatures.min() ** 0.5) / 3, dtype=torch.float64)
    plane = torch.cartesian_prod(line, line)
    action = torch.cat([hamiltonian.action(part) for part in plane.split(2**14)]).numpy()
    values = _moments(action, np.ones(len(action)), temperatures, (line[1] - line[0]).item() ** 2)
    log_z, energy, heat_capacity, _ = map(plain, values)
    alone = np.ndim(temperature) == 0 and temperature == 1
    return Exact(
        energy=energy / 2,
        heat_capacity=heat_capacity / 2,
        log_partition=log_z,
        modes=np.full(number, 1 / number) if alone else None,
    )


def _moments(action, inside, temperatures, cell):
    """ln Z, mean and variance/T² of the action, and the mean of `inside`, each shaped like the temperatures."""
    lowest = action.min()
    weight = np.exp(-(action - lowest) / temperatures)
    z = weight.sum(-1)
    energy = (weight * action).sum(-1) / z
    variance = (weight * (action - energy[..., None]) ** 2).sum(-1) / z
    t = temperatures[..., 0]
    return np.log(z * cell) - lowest / t, energy, variance / t**2, (weight * inside).sum(-1) / z
