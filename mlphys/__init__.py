"""mlphys: machine-learning physics, taught by doing.

Every name below is loaded when it is first used, so that importing the package costs nothing.
"""

import gc
from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "lattices": ["Lattice", "chain", "cubic", "square", "triangular"],
    "hamiltonians.spins": ["Ising"],
    "hamiltonians.plaquettes": ["PlaquetteIsing"],
    "hamiltonians.glass": ["SpinGlass"],
    "hamiltonians.discrete": ["Clock", "Potts"],
    "hamiltonians.vectors": ["Heisenberg", "XY"],
    "hamiltonians.fields": ["Phi4"],
    "hamiltonians.wells": ["ManyModes", "ManyWell"],
    "hamiltonians.gauge": ["U1Gauge"],
    "hamiltonians.electrons": ["DoubleExchange"],
    "hamiltonians.quantum": ["HeisenbergJ1J2", "TransverseIsing", "XXZ"],
    "core": ["Chain", "Info", "Sampler", "State", "run"],
    "samplers.metropolis": ["HeatBath", "Metropolis", "Overrelaxation"],
    "samplers.cluster": ["SwendsenWang", "Wolff"],
    "samplers.molecular": ["HMC", "Langevin"],
    "samplers.tempering": ["Tempering", "anneal"],
    "samplers.learned": ["IndependenceMH", "SelfLearning"],
    "sweeps": ["sweep"],
    "stats": ["ChainTooShort", "Estimate"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = [
    *["configurations", "contract", "core", "diffusion", "exact", "flows", "lab", "lattices", "lectures", "nets", "phases"],
    *["random", "recipes", "samplers", "selflearning", "stats", "train", "vmc"],
]

__all__ = [*_HOME_OF, *_MODULES]


def _load(module: str):
    # Hardly anything dies in an import. Looking for garbage among the many objects of torch would take a fifth of its time,
    # and be repeated as often as the numbers of objects grow: what an import brings stays, and is no longer looked at.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return import_module(f"mlphys.{module}")
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def __getattr__(name: str):
    if name in _HOME_OF:
        value = getattr(_load(_HOME_OF[name]), name)
    elif name in _MODULES:
        value = _load(name)
    else:
        raise AttributeError(f"mlphys has no {name!r}; it offers {', '.join(sorted(__all__))}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
