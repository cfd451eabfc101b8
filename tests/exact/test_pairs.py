"""Every model × every sampler against the exact energy; pairs that are not valid say so. The README's table is this one."""

import math
from pathlib import Path

import pytest
from pairs import CASES, LADDER, SAMPLERS, table

import mlphys as mp

PAIRS = [(model, sampler) for model in CASES for sampler in SAMPLERS]
CHAINS, PRECISION, PILOT, MOST = 128, 1e-3, 400, 40_000


@pytest.mark.parametrize("model, sampler", [(m, s) for m, s in PAIRS if s in CASES[m].valid])
def test_energy_agrees_with_the_exact_twin(model, sampler):
    case = CASES[model]
    exact = mp.exact.thermal(case.model, case.temperature).energy
    energy = estimate(SAMPLERS[sampler](case.model, case.temperature), case.temperature, PRECISION * abs(exact))
    assert abs(energy.deviation(exact)) < 4, f"{energy} is not {exact}"
    assert energy.error < PRECISION * abs(exact)


def estimate(sampler, temperature, error):
    """The mean energy of a run long enough for `error`; each run, of a seed of its own, says how long the next must be."""
    tempered = isinstance(sampler, mp.Tempering)
    chains, samples, seed = CHAINS // len(LADDER) if tempered else CHAINS, PILOT, 1
    while samples < MOST:
        chain = mp.run(sampler, samples, None if tempered else temperature, chains, seed, burn_in=300, observe=("energy",))
        try:
            energy = chain.estimate("energy", temperature)
            if energy.error < error:
                return energy
        except mp.ChainTooShort as short:
            energy = short.estimate
        samples = math.ceil(max(1.2 * samples * (energy.error / error) ** 2, 70 * energy.tau))
        seed += 1
    raise AssertionError(f"{samples} samples of {chains} chains are more than a test may take")


@pytest.mark.parametrize("model, sampler", [(m, s) for m, s in PAIRS if s not in CASES[m].valid])
def test_an_invalid_pair_says_so(model, sampler):
    case = CASES[model]
    with pytest.raises(ValueError, match=sampler) as error:
        SAMPLERS[sampler](case.model, case.temperature)
    assert type(case.model).__name__ in str(error.value)


def test_the_table_in_the_readme_is_this_one():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert table() in readme, "run `python tests/exact/pairs.py` and put its table into README.md"
