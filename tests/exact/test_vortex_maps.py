"""The claims of lecture 04: what networks follow, what their answers depend on, and transitions that do not."""

import numpy as np
import pandas as pd
import pytest
import torch

import mlphys as mp
from mlphys import nets, phases
from mlphys.lectures import vortices_experiments as experiments
from mlphys.lectures.fields_experiments import helicity_scan
from mlphys.lectures.vortices import TRICKS
from mlphys.phases import features

XY = mp.XY(mp.square(16))


@pytest.fixture(scope="module")
def halves():
    """XY spins from far below to far above the transition, for training and for tests."""
    return phases.split(experiments.spins(XY, np.linspace(0.5, 1.5, 21), 8), (0.5, 0.5))


def test_spin_waves_obey_equipartition():
    side, stiffness = 12, [0.5, 2.0]
    waves = experiments.spin_waves(side, stiffness, 400, seed=3)
    x = waves.x.double().view(-1, side, side)
    energy = sum((x - x.roll(1, axis)).square().sum((1, 2)) for axis in (1, 2)).numpy() / (2 * waves.temperature)
    for temperature in np.unique(waves.temperature):
        mine = energy[waves.temperature == temperature]
        assert abs(mine.mean() - (side**2 - 1) / 2) < 4 * mine.std() / len(mine) ** 0.5
    # The two fields made of one sum of waves have nothing in common.
    first, second = x[:200].flatten(1), x[200:400].flatten(1)
    shared = (first * second).mean(1)
    assert abs(shared.mean()) < 4 * shared.std() / 200**0.5


def test_a_network_that_saw_only_spin_waves_reads_the_stiffness_of_xy_spins():
    network = experiments.StiffnessNetwork(samples=600, steps=400, side=16)
    known = experiments.spin_waves(16, [0.6, 0.9, 1.4], 600, seed=9)
    read = network.read([known])
    assert np.allclose(read.helicity_modulus, 1, rtol=0.03)
    told = network.read([experiments.spins(XY, [0.6, 0.8], 20, seed=4)])
    measured = helicity_scan([16], [0.6, 0.8], 300)
    assert np.allclose(told.helicity_modulus, measured.helicity_modulus, rtol=0.05)


def test_blocks_keep_the_direction_of_what_is_in_them():
    lattice = mp.square(16)
    angle = torch.linspace(-3, 3, 5)
    data = phases.Dataset(angle[:, None].repeat(1, 256), np.ones(5), np.arange(5), lattice)
    blocks = experiments.in_blocks(data, 4)
    assert blocks.lattice.shape == (4, 4)
    assert torch.allclose(blocks.x, angle[:, None].expand(5, 16), atol=1e-5)
    with pytest.raises(ValueError, match="blocks=5"):
        experiments.in_blocks(data, 5)


def test_the_answer_of_a_vortex_map_network_follows_the_window_of_its_training(halves):
    train, test = map(experiments.vortex_map, halves)
    networks = [experiments.trained(train, window, 300) for window in ((0.6, 1.0), (0.8, 1.2))]
    early, late = (experiments.half(network, test) for network in networks)
    assert late.mean - early.mean > max(0.05, 3 * np.hypot(early.error, late.error))


def test_curves_of_vortices_in_blocks_cross_where_no_window_decides():
    temperatures = np.arange(0.86, 1.06, 0.03)
    data = [experiments.spins(mp.XY(mp.square(side)), temperatures, 25, seed=side) for side in (16, 32)]
    crossed = []
    for window in ((0.87, 0.97), (0.95, 1.03)):
        table = experiments.block_curves(data, window, 200)
        crossed.append(phases.crossings(table).temperature[0])
        # Below, larger lattices have fewer vortices left; far above, more.
        small, large = (table[table["size"] == side].value.to_numpy() for side in (16, 32))
        assert large[:2].sum() < small[:2].sum() and large[-1] > small[-1]
    assert abs(crossed[0] - crossed[1]) < 0.02
    # From above: the crossing comes down to T_BKT with the logarithm of the size.
    assert all(0.8929 < temperature < 1.03 for temperature in crossed)


@pytest.mark.parametrize("power", [1, 2])
def test_scaling_of_vortices_finds_a_transition_with_that_scaling(power):
    rng = np.random.default_rng(power)
    size, temperature = np.repeat([16, 24, 32, 64], 7), np.tile(np.linspace(0.86, 0.98, 7), 4)
    log_size = np.log(size / 0.8)
    exact = np.exp(1.2 * np.tanh((temperature - 0.9) * log_size**2) - 2) / log_size**power
    value = exact * (1 + 0.03 * rng.normal(size=len(exact)))
    table = pd.DataFrame({"size": size, "temperature": temperature, "value": value, "error": 0.03 * exact})
    found, per_freedom = experiments.scaling_of_vortices(table, power)
    assert abs(found.deviation(0.9)) < 3.5 and found.error < 0.02
    assert 0.3 < per_freedom < 2.5


def test_hours_matter_on_large_scales_below_the_lower_transition_only():
    data = [experiments.spins(mp.Clock(mp.square(side), 6), [0.6, 0.65, 0.75, 0.85], 8, 8, side) for side in (16, 32)]
    table = experiments.block_curves(data, (0.66, 0.72), 150, q=6)
    small, large = (table[table["size"] == side].value.to_numpy() for side in (16, 32))
    assert large[0] > small[0] and (large[2:] < small[2:]).all()


def test_raw_angles_are_told_by_magnetisation_and_vortex_maps_by_vortices(halves):
    train, test = halves
    quantities = {name: XY.observables[name](test.x) for name in ("abs_magnetisation", "vortex_density", "energy")}
    cold = test.where(test.temperature < 0.7)
    twisted = np.stack([TRICKS["twist slowly, once around"](x.reshape(16, 16)) for x in cold.x.numpy()]).reshape(-1, 256)
    twisted = cold.map(lambda x: torch.from_numpy(twisted))
    assert XY.observables["abs_magnetisation"](twisted.x).mean() < 0.2
    followed, fall = {}, {}
    for name, see in (("raw", lambda data: data.map(features.angles)), ("map", experiments.vortex_map)):
        network = experiments.trained(see(train), (0.7, 1.1), 250)
        followed[name] = phases.attribution(network, see(test), quantities).set_index("quantity")
        before, after = (network.probability(see(each).x).mean() for each in (cold, twisted))
        fall[name] = float(before - after)
    raw, maps = followed["raw"].partial, followed["map"].partial
    assert raw["abs_magnetisation"] > 0.3 > 0.2 > abs(raw["vortex_density"])
    assert maps["vortex_density"] < -0.6 and abs(maps["abs_magnetisation"]) < 0.4
    assert fall["raw"] > 0.1 and abs(fall["map"]) < 0.03


def test_predicted_temperatures_change_fastest_well_above_the_transition(halves):
    train, test = (each.map(lambda x: features.turns(x, XY.lattice)) for each in halves)
    network = nets.ConvolutionalNetwork(XY.lattice, inputs=2)
    for _ in phases.prediction(train, network, 300, batch=64, rate=5e-3):
        pass
    told = phases.predicted(network, train)
    curve = phases.curve(told, test)
    assert curve.value.iloc[-1] > curve.value.iloc[0] + 0.5
    assert phases.steepest(told, test, XY.energy(halves[1].x)).mean > 0.95
