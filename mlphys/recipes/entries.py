"""The recipes themselves. Everything in them was chosen on seeds of 11 and above; they are judged on 1, 2 and 3."""

from collections.abc import Callable

import mlphys as mp
from mlphys.recipes.recipe import Recipe, Stage


def falling(first: float, last: float, steps: int) -> Callable[[int], float]:
    """A schedule that falls from `first` to `last`, by the same factor in each of `steps` steps, and stays there.

    >>> [round(falling(0.04, 0.01, 3)(step), 3) for step in (1, 2, 3, 4)]
    [0.04, 0.02, 0.01, 0.01]
    """
    return lambda step: first * (last / first) ** min((step - 1) / (steps - 1), 1)


def _coarse_to_fine(coarse: int, fine: int) -> tuple[Stage, Stage]:
    """Few samples while the energy falls; then noise is what is left, and more samples and a falling rate reduce it."""
    return Stage(coarse), Stage(fine, {"samples": 2016, "rate": falling(0.05, 0.01, fine)})


def _rbm(system: str, hamiltonian: Callable, alpha: int, coarse: int, fine: int, samples: int = 64512) -> Recipe:
    def psi(lattice, seed):
        return mp.nets.RBM(lattice.n_sites, alpha, seed=seed)

    return Recipe(system, f"RBM, α = {alpha}", hamiltonian, psi, _coarse_to_fine(coarse, fine), {"samples": samples})


def _symmetric_rbm(system: str, hamiltonian: Callable, alpha: int, coarse: int, fine: int, samples: int = 64512) -> Recipe:
    def psi(lattice, seed):
        import torch

        return mp.nets.TranslationRBM(lattice, alpha, dtype=torch.complex128, seed=seed)

    network = f"complex RBM with translations, α = {alpha}"
    return Recipe(system, network, hamiltonian, psi, _coarse_to_fine(coarse, fine), {"samples": samples})


ISING_CHAIN = "transverse Ising chain, N = 40, h = 1", lambda: mp.TransverseIsing(mp.chain(40))
HEISENBERG_CHAIN = "Heisenberg chain, N = 40", lambda: mp.HeisenbergJ1J2(mp.chain(40))
HEISENBERG_SQUARE = "Heisenberg, 6 × 6", lambda: mp.HeisenbergJ1J2(mp.square(6))

RECIPES = {
    "ising_chain_1": _rbm(*ISING_CHAIN, 1, 200, 50),
    "ising_chain_2": _rbm(*ISING_CHAIN, 2, 200, 350),
    "heisenberg_chain": _rbm(*HEISENBERG_CHAIN, 2, 250, 300),
    "ising_chain_symmetric": _symmetric_rbm(*ISING_CHAIN, 2, 300, 100),
    "heisenberg_chain_symmetric": _symmetric_rbm(*HEISENBERG_CHAIN, 2, 300, 50),
    "heisenberg_square": _symmetric_rbm(*HEISENBERG_SQUARE, 12, 100, 60, samples=32256),
}
