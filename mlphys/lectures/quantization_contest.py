"""Four samplers of one φ⁴ field by one yardstick, live: effective samples per second, training and break-even apart."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import mlphys as mp
from mlphys.lab import App, Choice, Control, Player, Plot, Readouts, controls, line, theme, yardstick
from mlphys.lectures.quantization_experiments import CHAINS, accept, network, phi4, rates, slowest, thermalised
from mlphys.threads import one_torch_thread

Runs = dict[str, tuple[mp.Chain, int, float]]
NAMES = ("HMC", "Langevin, adjusted", "diffusion", "normalising flow")


def contest(model: mp.Phi4, steps: int, samples: int, proposals: int, seed: int = 1) -> Iterator[tuple[str, Runs]]:
    """Measures one sampler after the other: yields what it is about, and the runs so far as `yardstick` takes them."""
    from mlphys import diffusion, flows

    runs: Runs = {}
    for name, sampler, thin in ((NAMES[0], mp.HMC(model), 2), (NAMES[1], mp.Langevin(model), 20)):
        yield f"{name} …", runs
        runs[name] = mp.run(sampler, samples, chains=CHAINS, thin=thin, seed=seed, observe=slowest(model)), thin, 0.0
    began = time.perf_counter()
    yield "fields to learn from …", runs
    data = thermalised(model, 4096, seed)
    score, flow = network(model, float(data.std())), flows.FieldFlow(model, layers=4, seed=seed)
    lessons = {
        NAMES[2]: (score, diffusion.fit(score, data, steps, seed, 128, rates(steps), "energy", model)),
        NAMES[3]: (flow, flows.fit(flow, model, steps // 4 or 1, 128, seed=seed)),
    }
    for name, (pupil, lesson) in lessons.items():
        for step in lesson:
            yield f"{name} learns: step {step.step}", runs
        seconds = time.perf_counter() - began
        yield f"{name} …", runs
        runs[name] = accept(pupil, model, proposals, CHAINS // 2, seed, slowest(model)), 1, seconds
        began = time.perf_counter()
    yield "", runs


def contest_app(size: str | None = None) -> App:
    """Press run: the samplers are measured one after the other; which is ready first depends on how much you want."""
    from mlphys.lectures.quantization import sizes

    chosen = sizes(size)
    knobs = controls(
        kappa=Control(0.18, 0.28, 0.24, step=0.001, label="hopping κ", marks={0.21: "0.21", 0.269: "κ_c"}),
        side=Choice(["8", "16"], "8", label="lattice side L"),
        steps=Control(20, 2000, chosen.steps, label="steps of training"),
    )
    readouts = Readouts("now", *NAMES, units=dict.fromkeys(NAMES, "ESS/s"))
    rate = Plot(x="sampler", y="ESS per second", label="effective samples per second", axes={"yaxis": {"type": "log"}})
    axes = {"xaxis": {"type": "log"}, "yaxis": {"type": "log"}}
    ready = Plot(x="effective samples wanted", y="seconds, training included", label="time until ready", axes=axes)
    rate.height = ready.height = 330
    wanted = np.geomspace(10, 1e7, 61)
    state: dict[str, Any] = {}

    def begin() -> None:
        model = phi4(int(knobs.side), knobs.kappa)
        state.update(rows={}, steps=contest(model, knobs.steps, chosen.samples, chosen.proposals))
        readouts.update(now="press run", **dict.fromkeys(NAMES))
        show()

    def step() -> None:
        with one_torch_thread():
            news = next(state["steps"], None)
        if news is None:
            raise StopIteration("all four measured")
        words, runs = news
        readouts.update(now=words or "done")
        if len(runs) > len(state["rows"]):
            state["rows"] = {row["sampler"]: row for row in yardstick(runs).to_dict("records")}
            show()

    def show() -> None:
        bars, lines = [], []
        for colour, name in enumerate(NAMES):
            row = state["rows"].get(name)
            if row is None:
                continue
            error = {"type": "data", "array": [np.nan_to_num(row["rate_error"])]}
            bars.append({"type": "bar", "x": [name], "y": [row["ess_per_second"]], "name": name, "error_y": error,
                         "marker": {"color": theme.colour(colour)}, "showlegend": False})  # fmt: skip
            dash = (None, "dash", "dot", "dashdot")[colour]
            lines.append(line(wanted, row["training"] + wanted / row["ess_per_second"], name, colour, dash))
            known = np.isfinite(row["rate_error"])
            value = (row["ess_per_second"], row["rate_error"]) if known else f"{row['ess_per_second']:.3g}, too short"
            readouts.update(**{name: value})
        rate.update(*bars)
        ready.update(*lines)

    player = Player(step, rate=60, reset=begin, unit="steps/s", label="the comparison")

    def again(_: Any) -> None:
        with player.lock:
            begin()

    knobs.observe(again)
    begin()
    return App(
        "Who is ready first?",
        "Effective samples per second of the slowest of |M|, M² and φ²: what was learnt begins late, and does it catch up?",
        plots=[rate, ready],
        controls=knobs,
        player=player,
        readouts=readouts,
    )
