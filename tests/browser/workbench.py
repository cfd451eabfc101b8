"""A small app with one of everything, for the tests: live lattice of 256², plots, every kind of control, readouts, training.

The first row of its picture is a ruler: as many sites up as the temperature slider stands steps from its low end, so that
a test can see in the pixels alone when a slider's movement has arrived.
"""

import numpy as np

import mlphys as mp
from mlphys.lab import App, Control, LatticeView, Player, Plot, Readouts, TrainingPlayer, band, controls, line

ROWS = 256
LOW, HIGH, STEP = 1.5, 3.5, 0.02


def app() -> App:
    """Return the app, stopped, with its first picture."""
    lattice = mp.square(ROWS)
    sampler = mp.Metropolis(mp.Ising(lattice))
    state = sampler.init(chains=1, temperature=2.3, seed=1)
    view = LatticeView(rows=ROWS, columns=ROWS, caption="Spins")
    knobs = controls(
        temperature=Control(LOW, HIGH, 2.3, step=STEP, label="temperature", unit="J", marks={2.26: "T_c"}),
        sweeps=(1, 8, 1),
        start=["hot", "cold", "stripes"],
        still=False,
    )
    history: list[float] = []
    grid = np.linspace(LOW, HIGH, 60)
    trace = Plot(line(np.arange(1), np.zeros(1), name="magnetisation"), x="frame", y="m", summary="history")
    curve = Plot(*band(grid, np.tanh(grid), np.full(60, 0.1), name="a curve"), x="temperature T (J)", y="something")
    readouts = Readouts("magnetisation")

    def picture() -> np.ndarray:
        x = state.x[0].numpy().reshape(ROWS, ROWS).astype(np.int8)
        x[0] = -1
        x[0, : round((knobs.temperature - LOW) / STEP)] = 1
        return x

    def step() -> None:
        state.temperature = knobs.temperature
        if not knobs.still:
            sampler.step(state, sweeps=knobs.sweeps)
        x = picture()
        view.show(x)
        history.append(float(x.mean()))
        if len(history) % 20 == 0:
            recent = history[-300:]
            trace.update(line(np.arange(len(recent)), np.array(recent), name="magnetisation"))
            readouts.update(magnetisation=recent[-1])

    training = TrainingPlayer(begin)
    player = Player(step, rate=60, reset=history.clear, unit="frames/s")
    knobs.observe(lambda change: None if player.running else view.show(picture()), "temperature")
    view.show(picture())
    parts = {"views": [view], "plots": [trace, curve, training.plot], "controls": knobs, "readouts": readouts}
    return App("Workbench", "Does every part work?", player=[player, training], **parts)


def begin():
    """A training without an end in sight."""
    import torch

    from mlphys.train import fit

    network = torch.nn.Sequential(torch.nn.Linear(400, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    return fit(network, lambda model, x: (model(x)[:, 0] - x.mean(1)).square().mean(), draw, steps=10**6)


def draw(generator):
    """A batch for it."""
    import torch

    return torch.randn(128, 400, generator=generator)
