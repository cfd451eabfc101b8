"""The recipes themselves. Everything in them was chosen on seeds of 11 and above; they are judged on 1, 2 and 3."""

from collections.abc import Callable

import mlphys as mp
from mlphys.recipes.recipe import Recipe, Stage


def falling(first: float, last: float, steps: int, after: int = 0) -> Callable[[int], float]:
    """A schedule: `after` steps at `first`, then it falls to `last` by the same factor in each of `steps` steps, and stays.

    >>> [round(falling(0.04, 0.01, 3, after=1)(step), 3) for step in (1, 2, 3, 4, 5)]
    [0.04, 0.04, 0.02, 0.01, 0.01]
    """
    return lambda step: first * (last / first) ** min(max(step - 1 - after, 0) / (steps - 1), 1)


def warming(rate: float, steps: int) -> Callable[[int], float]:
    """A schedule that rises to `rate` in proportion to the step, for `steps` steps, and stays there."""
    return lambda step: rate * min(step / steps, 1)


def _coarse_to_fine(coarse: int, fine: int) -> tuple[Stage, Stage]:
    """Few samples while the energy falls; then noise is what is left, and more samples and a falling rate reduce it."""
    return Stage(coarse), Stage(fine, {"samples": 2016, "rate": falling(0.05, 0.01, fine)})


def _rbm(system: str, hamiltonian: Callable, alpha: int, coarse: int, fine: int, samples: int = 64512) -> Recipe:
    def psi(lattice, seed):
        return mp.nets.RBM(lattice.n_sites, alpha, seed=seed)

    return Recipe(system, f"RBM, α = {alpha}", hamiltonian, psi, _coarse_to_fine(coarse, fine), {"samples": samples})


def _symmetric_rbm(
    system: str, hamiltonian: Callable, alpha: int, coarse: int, fine: int, samples: int = 64512, reference=None
) -> Recipe:
    def psi(lattice, seed):
        import torch

        return mp.nets.TranslationRBM(lattice, alpha, dtype=torch.complex128, seed=seed)

    network = f"complex RBM with translations, α = {alpha}"
    return Recipe(system, network, hamiltonian, psi, _coarse_to_fine(coarse, fine), {"samples": samples}, reference)


def _transformer(system: str, hamiltonian: Callable, reference, stages: tuple[Stage, ...], network: dict) -> Recipe:
    """A transformer, trained as it is and measured in what the point group of its lattice projects out of it."""

    def psi(lattice, seed):
        import torch

        return mp.nets.ViT(lattice, **network, dtype=torch.float32, seed=seed)

    def projected(lattice, psi):
        return mp.nets.Symmetric(psi, lattice.point_group)

    name = "transformer, patch {patch}, dimension {dimension}, {layers} layers, point group".format(**network)
    measurement = {"samples": 4032, "chains": 504, "burn_in": 10}
    return Recipe(system, name, hamiltonian, psi, (*stages, Stage(0, wrap=projected)), measurement, reference)


def _noisy(steps: int, samples: int, rate, shift=1e-3) -> Stage:
    """As many chains as samples: one pass through the network then proposes a move for each of them."""
    return Stage(steps, {"samples": samples, "chains": samples, "rate": rate, "shift": shift, "clip": 5.0})


ISING_CHAIN = "transverse Ising chain, N = 40, h = 1", lambda: mp.TransverseIsing(mp.chain(40))
HEISENBERG_CHAIN = "Heisenberg chain, N = 40", lambda: mp.HeisenbergJ1J2(mp.chain(40))
HEISENBERG_SQUARE = "Heisenberg, 6 × 6", lambda: mp.HeisenbergJ1J2(mp.square(6))
# Exact energy: Schulz, Ziman, Poilblanc 1996 (10.1051/jp1:1996236); RBM with pair products: Nomura and Imada 2021.
FRUSTRATED_6 = (
    "J1–J2, 6 × 6, J2 = 1/2", lambda: mp.HeisenbergJ1J2(mp.square(6), j2=0.5),
    (-0.503809654, "exact diagonalisation"),
)  # fmt: skip
FRUSTRATED_10 = (
    "J1–J2, 10 × 10, J2 = 1/2", lambda: mp.HeisenbergJ1J2(mp.square(10), j2=0.5),
    (-0.4976294, "RBM+PP, 10.1103/PhysRevX.11.031034"),
)  # fmt: skip

RECIPES = {
    "ising_chain_1": _rbm(*ISING_CHAIN, 1, 200, 50),
    "ising_chain_2": _rbm(*ISING_CHAIN, 2, 200, 350),
    "heisenberg_chain": _rbm(*HEISENBERG_CHAIN, 2, 250, 300),
    "ising_chain_symmetric": _symmetric_rbm(*ISING_CHAIN, 2, 300, 100),
    "heisenberg_chain_symmetric": _symmetric_rbm(*HEISENBERG_CHAIN, 2, 300, 50),
    "heisenberg_square": _symmetric_rbm(*HEISENBERG_SQUARE, 12, 100, 60, samples=32256),
    "j1j2_square_10_rbm": _symmetric_rbm(*FRUSTRATED_10[:2], 6, 120, 30, 16128, FRUSTRATED_10[2]),
    "j1j2_square_6": _transformer(
        *FRUSTRATED_6,
        (
            _noisy(40, 252, warming(0.045, 20)),
            _noisy(400, 504, falling(0.045, 0.003, 160, after=240), falling(1e-3, 3e-4, 160, after=240)),
        ),
        dict(patch=1, dimension=16, heads=16, layers=2),
    ),
    "j1j2_square_10": _transformer(
        *FRUSTRATED_10,
        (_noisy(100, 2016, warming(0.05, 50)), _noisy(900, 4032, falling(0.05, 0.005, 900))),
        dict(patch=2, dimension=72, heads=12, layers=4),
    ),
}
