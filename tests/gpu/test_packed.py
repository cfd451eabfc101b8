"""Bit-packed Ising lattices on the simulated GPU: bit for bit those of the CPU."""

import numpy as np
import pytest

import mlphys as mp
from mlphys.kernels.multispin import LANES

# Strips, also stored transposed and with several blocks of streams; replicas, also in several words and batches.
SHAPES = [((128, 4), 2), ((6, 128), 1), ((128, 2050), 1), ((2, 2), 70), ((8, 12), 3), ((10, 10), 66), ((4, 2050), 1)]


def pair(sampler, chains, **more):
    """The same state on the CPU and on the GPU."""
    state = sampler.init(chains, np.linspace(1.5, 4, chains), seed=1, start="random", **more)
    return state, state.copy().to("cuda")


@pytest.mark.parametrize("shape, chains", SHAPES)
@pytest.mark.parametrize("kind", [mp.Metropolis, mp.HeatBath])
def test_same_lattice_and_same_streams(kind, shape, chains):
    sampler = kind(mp.Ising(mp.square(*shape), coupling=-1.0 if chains == 3 else 1.0))
    here, there = pair(sampler, chains)
    for sweeps in (1, 2) if here.x.numel() < 1e4 else (1,):
        sampler.step(here, sweeps)
        sampler.step(there, sweeps)
    assert there.device == "cuda" and here.device == "cpu"
    assert (here.x == there.x.cpu()).all() and here.sweep == there.sweep
    assert np.array_equal(here.cache["metropolis_streams"], there.cache["metropolis_streams"].copy_to_host())


def test_large_lattices_have_more_streams():
    state = mp.Metropolis(mp.Ising(mp.square(128, 2050))).init(1, 2.0)
    assert state.cache["metropolis_streams"].shape == (1, 4, 5 * LANES)


def test_states_of_one_block_of_streams_go_on():
    from mlphys.kernels.generators import seed_streams

    sampler = mp.Metropolis(mp.Ising(mp.square(128, 2050)))
    here = sampler.init(1, 2.0, seed=3)
    here.cache["metropolis_streams"] = seed_streams(np.uint64(1), 1, LANES)
    there = here.copy().to("cuda")
    sampler.step(here)
    sampler.step(there)
    assert (here.x == there.x.cpu()).all()


@pytest.mark.parametrize("shape, chains", [((128, 4), 2), ((128, 34), 1), ((2, 2), 70), ((4, 6), 3)])
def test_counting(shape, chains):
    model = mp.Ising(mp.square(*shape))
    here, there = pair(mp.Metropolis(model), chains)
    names = list(model.observables)
    expected = model.measure(here, names)
    for name, values in model.measure(there, names).items():
        assert np.array_equal(values, expected[name])


@pytest.mark.parametrize("shape", [(4, 4), (128, 2)])
def test_a_state_resumes_on_the_other_device(shape, tmp_path):
    sampler = mp.Metropolis(mp.Ising(mp.square(*shape)))
    state = sampler.init(3, 2.0, seed=5)
    sampler.step(state, 6)
    moving = sampler.init(3, 2.0, seed=5, device="cuda")
    for device in ("cpu", "cuda", "cpu"):
        sampler.step(moving, 2)
        moving.save(tmp_path / "state")
        moving = mp.State.load(tmp_path / "state", device=device)
        assert moving.device == device
    assert (moving.x.cpu() == state.x).all() and moving.sweep == state.sweep


def test_run_gives_the_chain_of_the_cpu():
    sampler = mp.Metropolis(mp.Ising(mp.square(4)))
    here, there = (mp.run(sampler, 4, 2.0, chains=3, seed=1, burn_in=2, device=d, keep=True) for d in ("cpu", "cuda"))
    assert there.state.device == "cuda" and there.seconds > 0
    assert all((here[name] == there[name]).all() for name in here.samples) and (here.x == there.x.cpu()).all()


@pytest.mark.parametrize("sampler", [mp.Wolff(mp.Ising(mp.square(4))), mp.Metropolis(mp.SpinGlass(mp.square(4)))], ids=repr)
def test_what_runs_on_the_cpu_only_says_so(sampler):
    with pytest.raises(ValueError, match=r"device='cuda' is not supported by .*CPU only"):
        mp.run(sampler, 5, 2.0, device="cuda")
