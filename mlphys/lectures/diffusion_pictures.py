"""How lecture 09 is drawn on a canvas: densities as brightness, paths, particles and arrows of the score above them."""

import math
from functools import cache
from itertools import product

import numpy as np

from mlphys.lab import palettes
from mlphys.lectures.diffusion_live import Film, Ring, World
from mlphys.threads import one_torch_thread

SHADES, SIDE, ROWS, WIDE = 48, 200, 320, 2
PATH, PARTICLE, MARK = SHADES, SHADES + 1, SHADES + 2
PALETTE = (*palettes.shades(SHADES), "#FFB938", "#FFF3D6", "#E8EEF4")
SHOWN, FINE = 12, 32


def shades(density: np.ndarray) -> np.ndarray:
    """Indices of the first SHADES colours; the root makes faint parts visible."""
    return (np.sqrt(np.clip(density, 0, 1)) * (SHADES - 1)).astype(np.uint8)


def _rows(q: np.ndarray, film: Film) -> np.ndarray:
    return np.clip((1 - q / film.world.reach) / 2 * ROWS, 0, ROWS - 1).astype(int)


@cache
def _ground(world: World, columns: int) -> np.ndarray:
    """The exact densities of `sheet`, each time in units of its largest, and lines at noise and where classes part."""
    q = np.linspace(world.reach, -world.reach, ROWS)
    time = np.arange(WIDE * columns + 1) / (WIDE * columns) * 2
    density = world.density(q, np.maximum((1 - abs(1 - time)) ** 2, 1e-3)).T
    picture = shades(density / density.max(0))
    for place in (world.speciation, 2 - world.speciation):
        picture[::5, round(place / 2 * WIDE * columns)] = MARK
    picture[:, WIDE * columns // 2] = MARK
    return picture


def sheet(film: Film) -> np.ndarray:
    """The coordinate q (up) against time (right, from data to noise and back to data), `(ROWS, WIDE · columns + 1)`."""
    picture = _ground(film.world, 2 * film.COLUMNS).copy()
    path = film.path(SHOWN)
    at = np.linspace(0, len(path) - 1, FINE * len(path))
    low = np.minimum(at.astype(int), max(len(path) - 2, 0))
    share = (at - low)[:, None]
    fine = (1 - share) * path[low] + share * path[np.minimum(low + 1, len(path) - 1)]
    columns = np.broadcast_to(np.rint(WIDE * at).astype(int)[:, None], fine.shape)
    picture[_rows(fine, film), columns] = PATH
    now = _rows(path[-1], film)
    for up, right in product((-2, -1, 0, 1, 2), repeat=2):
        rows, column = now + up, WIDE * film.column + right
        picture[np.clip(rows, 0, ROWS - 1), min(max(column, 0), picture.shape[1] - 1)] = PARTICLE
    return picture


def plane(film: Film, arrows: int = 13) -> np.ndarray:
    """Two dimensions at one time: density, score and particles, `(SIDE, SIDE)`."""
    assert isinstance(film.world, Ring)
    density = film.world.plane(SIDE, max(film.t, 1e-3))
    picture = shades(density / density.max())
    reach = film.world.reach

    def put(points: np.ndarray, colour: int) -> None:
        columns, rows = np.moveaxis((1 + points * [1, -1] / reach) / 2 * SIDE, -1, 0)
        inside = (columns >= 0) & (columns < SIDE) & (rows >= 0) & (rows < SIDE)
        picture[rows[inside].astype(int), columns[inside].astype(int)] = colour

    start, end = _arrows(film, arrows)
    along = np.linspace(0, 1, 20)[:, None, None]
    put(start + along * (end - start), MARK)
    for turn in (-0.5, 0.5):
        c, s = math.cos(turn), math.sin(turn)
        put(end + along[::2] * 0.35 * (start - end) @ np.array([[c, s], [-s, c]]), MARK)
    for shift in product((0, 1.2 * reach / SIDE), repeat=2):
        put(film.x[:300] + shift, PATH)
    return picture


def _arrows(film: Film, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Beginnings and ends `(arrows, 2)` of arrows along the score, whose lengths saturate."""
    import torch

    axis = (np.arange(count) + 0.5) / count * 2 * film.world.reach - film.world.reach
    start = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    with one_torch_thread(), torch.no_grad():
        score = film.score(torch.from_numpy(start), torch.full((len(start), 1), max(film.t, 1e-3)).double()).numpy()
    size = np.linalg.norm(score, axis=1, keepdims=True)
    return start, start + score / (size + 1) * 1.7 * film.world.reach / count
