"""How most apps are wired: a simulation that runs live, a network that may learn beside it, controls that change both."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import ipywidgets

from mlphys.lab.app import App
from mlphys.lab.control import Controls
from mlphys.lab.readouts import Readouts
from mlphys.lab.simulation import SimulationPlayer
from mlphys.lab.training import TrainingPlayer


class LiveApp(App):
    """An app with a simulation that runs live and, if there is something to `learn`, a network that learns beside it.

    Arguments: title and question, as of an `App`; knobs, the controls, and readouts; views and plots, to which the curve of
    the training is added; make, draw, plot, tell, turns, rebuilds and label, as of a `SimulationPlayer`.
    Of the training: learn(app), called by its first step, gives the steps; learnt(app) is `look` of a `TrainingPlayer`, and
    the simulation is drawn, told and plotted after it; relearns, names of controls that make it begin anew; enrol(), called
    before anything else and when one of them changes, makes whoever learns; loss, the axis of the curve, with units.
    In `learn` and `learnt` the simulation is ``app.player.simulation``, to be changed under ``app.player.lock``; the loss of
    each step is in ``app.training.losses``.

    >>> import numpy as np
    >>> import mlphys as mp
    >>> from mlphys.lab import Simulation, controls
    >>> knobs, readouts = controls(temperature=(1.5, 3.5, 2.3)), Readouts("energy")
    >>> def make(seed):
    ...     sampler = mp.Metropolis(mp.Ising(mp.square(8)))
    ...     return Simulation(sampler, np.ones((8, 8), np.int8), knobs.temperature, seed, lambda live: ({}, None))
    >>> app = LiveApp("Ising model", "When does the magnet melt?", knobs, readouts, make=make,
    ...               turns={"temperature": Simulation.heat})
    >>> knobs.temperature = 3.0
    >>> app.player.simulation.temperature
    3.0
    >>> app.close()
    """

    player: SimulationPlayer

    def __init__(
        self,
        title: str,
        question: str,
        knobs: Controls,
        readouts: Readouts,
        *,
        make: Callable[[int], Any],
        views: Sequence[ipywidgets.Widget] = (),
        plots: Sequence[ipywidgets.Widget] = (),
        draw: Callable[[Any], None] = lambda simulation: None,
        plot: Callable[[Any], None] = lambda simulation: None,
        tell: Callable[[Any], None] = lambda simulation: None,
        turns: Mapping[str, Callable[[Any, Any], Any]] | None = None,
        rebuilds: Collection[str] = (),
        label: str = "the simulation",
        learn: "Callable[[LiveApp], Iterator[Any]] | None" = None,
        learnt: "Callable[[LiveApp], Mapping[str, Any]]" = lambda app: {},
        relearns: Collection[str] = (),
        enrol: Callable[[], Any] | None = None,
        loss: str = "loss",
    ):
        # Their order matters: first whoever learns, which the simulation may show, then the simulation, then the training,
        # which may learn from it.
        if enrol is not None:
            enrol()
            knobs.observe(lambda _: enrol(), relearns)
        player = SimulationPlayer(
            make, knobs, draw=draw, plot=plot, tell=tell, turns=turns or {}, rebuilds=rebuilds, label=label
        )
        players, curves = [player], []
        if learn is not None:
            training = TrainingPlayer(lambda: learn(self), lambda: self._look(learnt), y=loss, label="the training")
            knobs.observe(lambda _: training.reset(), relearns)
            self.training, players, curves = training, [player, training], [training.plot]
        super().__init__(
            title, question, views=views, plots=[*plots, *curves], controls=knobs, player=players, readouts=readouts
        )
        self.knobs = knobs

    def _look(self, learnt: "Callable[[LiveApp], Mapping[str, Any]]") -> Mapping[str, Any]:
        found = learnt(self)
        with self.player.lock:
            self.player.show()
        return found
