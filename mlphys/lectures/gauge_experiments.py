"""What lecture 08 measures: how the topological charge freezes, what a flow is worth, what networks see in links."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import mlphys as mp
from mlphys.lab import attempt
from mlphys.random import generator
from mlphys.threads import one_torch_thread

# flows and nets import torch, which takes two seconds: an app that opens does not wait for it.
if TYPE_CHECKING:
    from pandas import DataFrame

    from mlphys.flows import Flow


def charges(n_sites: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """The topological charges that occur on a torus of n_sites plaquettes, and their exact probabilities.

    Plaquettes would be independent if they did not have to add up to 2πQ: the probability of Q is the density of their sum
    there, which is a Fourier transform of the n-th power of that of one plaquette.

    >>> q, p = charges(64, 2.0)
    >>> print(f"{p.sum():.9f} {(q**2 * p).sum():.9f}", round(mp.exact.u1_torus(64, 2.0).charge2, 9))
    1.000000000 1.239298911 1.239298911
    """
    nodes, weights = np.polynomial.legendre.leggauss(400)
    weights = weights * np.exp(beta * (np.cos(np.pi * nodes) - 1))
    most = 2 + int(6 * np.sqrt(n_sites / beta) / np.pi)
    # The sum lies within ±π n: frequencies 1/(2 most + 1) apart are enough for so many charges.
    waves = np.arange(-40 * (2 * most + 1), 40 * (2 * most + 1) + 1) / (2 * most + 1)
    one = (np.cos(np.pi * waves[:, None] * nodes) @ weights) / weights.sum()
    q = np.arange(-most, most + 1)
    p = np.cos(2 * np.pi * q[:, None] * waves) @ one**n_sites
    return q, p / p.sum()


def freezing(betas: Iterable[float], side: int, samples: int, chains: int = 16, seed: int = 1) -> "DataFrame":
    """How long HMC remembers its charge and its plaquette, against β: autocorrelation times in trajectories.

    `trusted` is False where a chain is shorter than 50 of them: then τ is no more than a lower bound.
    """
    rows: list[dict[str, Any]] = []
    for beta in betas:
        model = mp.U1Gauge(mp.square(side), float(beta))
        chain = mp.run(mp.HMC(model), samples, chains=chains, seed=seed, observe=["charge", "plaquette"])
        row: dict[str, Any] = {"beta": beta}
        for name in ("charge", "plaquette"):
            found, trusted = attempt(chain, name)
            row |= {name: found.tau, f"{name}_error": found.tau_error, f"{name}_trusted": trusted}
        rows.append(row)
    return _table(rows)


def falling(step: int) -> float:
    """A learning rate that falls like 1/step after the first hundred or so."""
    return 0.03 / (1 + step / 100)


def train(
    flow: "Flow", model: Any, steps: int, batch: int, seed: int = 1, progress: Callable = lambda: None
) -> tuple["DataFrame", float]:
    """Train a flow: its history, with columns step, loss, kish, and the seconds that took."""
    from mlphys import flows

    rows, began = [], time.perf_counter()
    with one_torch_thread():
        for step in flows.fit(flow, model, steps, batch, falling, seed):
            rows.append(vars(step))
            progress()
    return _table(rows), time.perf_counter() - began


def flux(x: Any, lattice: mp.Lattice, rows: int, columns: int) -> np.ndarray:
    """Flux, in [−π, π), through the blocks of rows × columns plaquettes that tile the lattice, of links x: a flat array."""
    angles = mp.U1Gauge(lattice, 1.0).plaquettes(x).numpy()
    height, width = lattice.shape
    blocks = angles.reshape(-1, height // rows, rows, width // columns, columns).sum((2, 4))
    return (blocks.ravel() + np.pi) % (2 * np.pi) - np.pi


def flux_density(angles: np.ndarray, block: int, n_sites: int, beta: float) -> np.ndarray:
    """The exact density of the flux through `block` of n_sites plaquettes of a torus, at `angles`.

    Whatever flows through the block comes back through the rest: a product of two densities, each a Fourier series with
    powers of the coefficients of one plaquette.

    >>> angles = np.linspace(-np.pi, np.pi, 201)
    >>> density = flux_density(angles, 1, 64, 2.0)
    >>> total, mean = (np.sum(density[1:] * f[1:]) * np.pi / 100 for f in (angles**0, np.cos(angles)))
    >>> print(f"{total:.6f} {mean:.6f}")
    1.000000 0.697775
    """
    nodes, waves = np.linspace(-np.pi, np.pi, 600, endpoint=False), np.arange(100)
    one = np.cos(waves[:, None] * nodes) @ np.exp(beta * (np.cos(nodes) - 1))
    copies = np.where(waves, 2, 1)[:, None] * np.cos(waves[:, None] * angles)
    inside, outside = (((one / one[0]) ** n) @ copies for n in (block, n_sites - block))
    return inside * outside / (2 * np.pi * (np.where(waves, 2, 1) @ (one / one[0]) ** n_sites))


def best_gaussian(action: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Mean ≥ 0 and width of the Gaussian q with the lowest ⟨log q + S⟩, for one variable within (−1.5, 1.5)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    candidates = [(mean, width) for mean in np.linspace(0, 1.5, 61) for width in np.geomspace(0.05, 2, 80)]
    return min(candidates, key=lambda c: weights @ action(c[0] + c[1] * nodes) - np.log(c[1]))


def gaussian_weights(action: Callable, mean: float, width: float, n: int, seed: int = 1) -> np.ndarray:
    """log w = −S − log q of n samples of a Gaussian."""
    noise = generator(seed, "gaussian").normal(size=n)
    return -action(mean + width * noise) + noise**2 / 2 + np.log(width * np.sqrt(2 * np.pi))


def _table(rows: list[dict[str, Any]]) -> "DataFrame":
    # Imported here: an app that opens has no use for pandas.
    import pandas as pd

    return pd.DataFrame(rows)
