"""Palettes for continuous data: a colour wheel for angles, a sphere for directions, a diverging scale for signed numbers.

Both are curves in OKLab, where equal distances look equally different, walked at constant speed. The wheel is a tilted
ellipse through lightness as well as hue, so that directions an eighth of a turn or more apart stay apart for dichromats.
Source of the colour space: B. Ottosson 2020 (bottosson.github.io/posts/oklab).
"""

import functools

import numpy as np

_FROM_OKLAB = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
)
_FROM_CONES = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.707614701],
    ]
)


def _hexadecimal(lab: np.ndarray) -> tuple[str, ...]:
    """CSS colours of points (n, 3) of OKLab."""
    linear = np.clip((lab @ _FROM_OKLAB.T) ** 3 @ _FROM_CONES.T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple("#" + bytes(row).hex() for row in np.rint(255 * coded).astype(np.uint8))


def _walk(curve: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Points of a fine polygon (m, 3), at fractions `at` of its length."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    return np.stack([np.interp(at * length[-1], length, component) for component in curve.T], axis=1)


@functools.cache
def wheel() -> tuple[str, ...]:
    """A closed palette: colour k stands for the angles around 2π (k + ½) / 256.

    >>> len(wheel()), wheel()[0]
    (256, '#c3e0d0')
    """
    centre, light, warm = np.array([[0.639, 0.059, -0.021], [0.241, -0.096, 0.031], [0.019, 0.051, 0.137]])
    turn = np.linspace(0, 2 * np.pi, 8193)[:, None]
    return _hexadecimal(_walk(centre + np.cos(turn) * light + np.sin(turn) * warm, (np.arange(256) + 0.5) / 256))


@functools.cache
def diverging() -> tuple[str, ...]:
    """A palette from blue through near-white to brown, its middle at zero.

    >>> len(diverging()), diverging()[128]
    (256, '#f3f2f1')
    """
    blue, white, brown = np.array([[0.36, -0.03, -0.12], [0.965, 0.0, 0.002], [0.42, 0.1, 0.085]])
    at = (np.arange(128) + 0.5) / 128
    return _hexadecimal(np.concatenate([_walk(np.stack([blue, white]), at), _walk(np.stack([white, brown]), at)]))


def shades(count: int) -> tuple[str, ...]:
    """`count` colours from the dark of spin down to a light blue, for densities.

    >>> shades(2)
    ('#06223f', '#6caae5')
    """
    ends = np.array([[0.25, -0.02, -0.06], [0.72, -0.04, -0.1]])
    return _hexadecimal(_walk(ends, np.linspace(0, 1, count)))


_BANDS, _TURNS = 7, 36


@functools.cache
def sphere() -> tuple[str, ...]:
    """Colours of directions in space, as `on_sphere` numbers them: lightness says up or down, hue the direction around.

    A sphere in OKLab as well, so that neighbouring directions look alike and opposite ones do not.

    >>> len(sphere())
    252
    """
    height = ((2 * np.arange(_BANDS) + 1) / _BANDS - 1)[:, None]
    angle, flat = 2 * np.pi * (np.arange(_TURNS) + 0.5) / _TURNS, 0.13 * np.sqrt(1 - height**2)
    points = np.broadcast_arrays(0.66 + 0.3 * height, flat * np.cos(angle), flat * np.sin(angle))
    return _hexadecimal(np.stack(points, -1).reshape(-1, 3))


def on_sphere(vectors: np.ndarray) -> np.ndarray:
    """Indices of `sphere()` (…), uint8, of unit vectors (…, 3).

    >>> on_sphere(np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])).tolist()
    [0, 216]
    """
    x, y, z = np.moveaxis(np.asarray(vectors, float), -1, 0)
    band = np.clip((z + 1) / 2 * _BANDS, 0, _BANDS - 1).astype(int)
    turn = (np.arctan2(y, x) / (2 * np.pi) * _TURNS).round(9)
    return (_TURNS * band + np.floor(turn).astype(int) % _TURNS).astype(np.uint8)
