"""Samplers: how a Hamiltonian is sampled."""


def warm(continuous: tuple[bool, ...] = (False, True)) -> None:
    """Compile every kernel into numba's cache, by letting every sampler take a step on every kind of model.

    `continuous` picks models of discrete values, of continuous ones, or both: the two have few kernels in common.
    """
    import numpy as np

    import mlphys as mp

    square = mp.square(4)
    models = [
        mp.Potts(square, q=3),
        mp.Ising(square),
        mp.Ising(mp.square(128)),
        mp.Ising(mp.triangular(3)),
        mp.Ising(square, field=0.1),
        mp.PlaquetteIsing(square),
        mp.XY(square),
        mp.Heisenberg(square),
        mp.U1Gauge(square, beta=1.0),
        mp.Phi4(square, mass2=-4.0, coupling=6.0),
        mp.Ising(square, coupling=np.linspace(0.5, 1, square.n_bonds)),
    ]
    for model in (model for model in models if model.continuous in continuous):
        # Molecular dynamics has one kernel for all fields.
        for make in (mp.Metropolis, mp.HeatBath, mp.Overrelaxation, mp.Wolff, mp.SwendsenWang, mp.HMC):
            try:
                sampler = make(model)
            except ValueError:  # not every pair is valid
                continue
            state = sampler.init(chains=2, temperature=2.0, seed=0, start="random")
            sampler.step(state)
            model.measure(state, tuple(model.observables))
            state.configuration.spins()
    if False in continuous:
        tempering = mp.Tempering(mp.Metropolis(models[-1]), [1.0, 2.0])
        tempering.step(tempering.init(seed=0))
