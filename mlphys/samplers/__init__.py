"""Samplers: how a Hamiltonian is sampled."""


def warm() -> None:
    """Compile every kernel into numba's cache, by letting every sampler take a step on every kind of model."""
    import numpy as np

    import mlphys as mp

    square = mp.square(4)
    models = [
        mp.Potts(square, q=3),
        mp.Ising(square),
        mp.Ising(mp.square(128)),
        mp.Ising(mp.triangular(3)),
        mp.Ising(square, field=0.1),
        mp.Ising(square, coupling=np.linspace(0.5, 1, square.n_bonds)),
    ]
    for model in models:
        for sampler in (mp.Metropolis, mp.HeatBath, mp.Wolff, mp.SwendsenWang):
            if sampler is mp.Wolff and not getattr(model, "without_field", True):
                continue
            state = sampler(model).init(chains=2, temperature=2.0, seed=0, start="random")
            sampler(model).step(state)
            model.measure(state, tuple(model.observables))
            state.configuration.spins()
    tempering = mp.Tempering(mp.Metropolis(models[-1]), [1.0, 2.0])
    tempering.step(tempering.init(seed=0))
    # One kernel for all fields.
    hmc = mp.HMC(mp.Phi4(square, mass2=1.0, coupling=1.0))
    hmc.step(hmc.init(chains=2, seed=0))
