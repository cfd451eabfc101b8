"""The recipes themselves. Everything in them was chosen on seeds of 11 and above; they are judged on 1, 2 and 3."""

import mlphys as mp
from mlphys.recipes.recipe import Recipe, Stage


def _ising_chain(alpha: int) -> Recipe:
    return Recipe(
        "transverse Ising chain, N = 40, h = 1", f"RBM, α = {alpha}",
        lambda: mp.TransverseIsing(mp.chain(40)),
        lambda lattice, seed: mp.nets.RBM(lattice.n_sites, alpha=alpha, seed=seed),
        (Stage(300),),
    )  # fmt: skip


RECIPES = {
    "ising_chain_1": _ising_chain(1),
    "ising_chain_2": _ising_chain(2),
}
