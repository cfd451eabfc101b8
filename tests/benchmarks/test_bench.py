"""The benchmark's own conscience: it refuses wrong physics, compares the right way round, and our speed is still there."""

import json

import numpy as np
import pytest
from contenders import FIELD, METROPOLIS, SWENDSEN_WANG, WOLFF, Library, Mcising, Peapods, Plain
from measure import COLD, CRITICAL, Check, Entry, check_energy, compare, race
from table import machine, markdown, save

from mlphys import Estimate


class TooCold(Plain):
    """Runs at 1.05 β."""

    name = "too cold"

    def __init__(self, algorithm, side, temperature, seed):
        super().__init__(algorithm, side, temperature / 1.05, seed)
        self.temperature = temperature


class Truncated(Plain):
    """Keeps six binary digits of the acceptance probability."""

    name = "truncated"

    def __init__(self, algorithm, side, temperature, seed):
        super().__init__(algorithm, side, temperature, seed)
        self.acceptance = np.floor(self.acceptance * 64) / 64


class HalfEnergy(Plain):
    """Reports its energy per bond."""

    name = "per bond"

    def energies(self, samples, thin):
        return super().energies(samples, thin) / 2


def check(deviation: float) -> Check:
    return Check(COLD, -1.0, Estimate(-1.0 + 0.01 * deviation, 0.01), 100.0)


def entry(name: str, speeds, deviation: float = 0.5, algorithm: str = METROPOLIS) -> Entry:
    return Entry(name, algorithm, 64, np.array(speeds, dtype=float), [check(deviation)])


@pytest.mark.parametrize("algorithm", [METROPOLIS, WOLFF])
def test_wrong_physics_is_refused(algorithm):
    wrong = (TooCold, Truncated, HalfEnergy) if algorithm == METROPOLIS else (TooCold, HalfEnergy)
    entries = compare((Plain, *wrong), algorithm, side=32, repeats=1, seconds=0.005, check=0.4)
    assert [item.name for item in entries if item.refused] == [kind.name for kind in wrong]
    table = markdown(entries, reference=Plain.name)
    for kind in wrong:
        (row,) = [line for line in table.splitlines() if f"| {kind.name} |" in line]
        assert "refused: energy off by" in row and "×" not in row


def test_without_an_energy_there_is_no_comparison():
    assert Entry("mlphys", METROPOLIS, 64, np.ones(3)).refused


def test_ratios_are_taken_repeat_by_repeat_and_the_right_way_round():
    metropolis = [entry("mlphys", [8, 4, 6]), entry("other", [0.2, 0.1, 0.1])]
    wolff = [entry("mlphys", [10, 20], algorithm=WOLFF), entry("other", [30, 60], algorithm=WOLFF)]
    table = markdown([*metropolis, *wolff])
    assert "| 0.1 | 0.1–0.2 | 40× (40–60) |" in table
    assert "| 45 | 30–60 | 3× (3–3) |" in table


def test_nobody_is_compared_with_a_refused_reference():
    table = markdown([entry("mlphys", [8.0], deviation=-7.0), entry("other", [0.2])])
    assert "refused: energy off by -7.0σ" in table and "×" not in table


def test_json_keeps_every_repeat(tmp_path):
    save(tmp_path / "new" / "bench.json", [entry("mlphys", [8, 4, 6], deviation=1.5)], machine=machine())
    content = json.loads((tmp_path / "new" / "bench.json").read_text())
    (row,) = content["rows"]
    assert row["speeds"] == [8, 4, 6] and row["median"] == 6 and row["checks"][0]["deviation"] == pytest.approx(1.5)
    assert content["machine"]["versions"]["numba"]


@pytest.mark.parametrize("kind", [Mcising, Peapods])
@pytest.mark.parametrize("algorithm", [METROPOLIS, WOLFF, SWENDSEN_WANG])
def test_conventions_of_the_peers(kind, algorithm):
    pytest.importorskip(kind.name)
    contender = kind(algorithm, 16, CRITICAL, seed=4)
    measured = check_energy(contender, seconds=0.3)
    assert abs(measured.deviation) < 5 and measured.measured.error < 0.03
    seconds, work = contender.timed(40)
    assert seconds > 0 and 40 <= work <= 40 * 256


@pytest.mark.parametrize(("algorithm", "side", "least"), [(METROPOLIS, 256, 10.0), (METROPOLIS, 64, 6.0), (WOLFF, 256, 1.2)])
def test_faster_than_the_plain_loop(algorithm, side, least):
    contenders = [kind(algorithm, side, CRITICAL, seed=5) for kind in (Library, Plain)]
    for contender in contenders:
        contender.advance(200)
    ours, plain = race(contenders, repeats=5, seconds=0.05)
    assert np.median(plain.times_slower(ours)) > least


def test_every_algorithm_has_the_library_first():
    assert all(kinds[0] is Library for kinds in FIELD.values())
