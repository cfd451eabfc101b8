"""Invertible maps of the circle: angles spread evenly come out with a given density."""

import math

import torch


def odd_map(x: torch.Tensor, log_density: torch.Tensor, inverse: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Map angles in [−π, π), y(−x) = −y(x), so that evenly spread ones get a density even in y: y and log dy/dx, like x.

    log_density `(…, 2 bins + 1)` holds its logarithm, up to a constant, at equally spaced angles from 0 to π. The map is a
    rational-quadratic spline whose bins are equally wide in y and as wide in x as the density integrates to, by Simpson's
    rule; its slopes are right at the knots. It is smooth on the circle, and its inverse needs no iteration. Source: Durkan
    et al. 2019 (arXiv:1906.04032); on circles Rezende et al. 2020 (arXiv:2002.02428).

    >>> x, log_density = torch.linspace(-3, 3, 7), torch.linspace(0, torch.pi, 33).cos().expand(7, 33)
    >>> y, log_slope = odd_map(x, log_density)
    >>> back, change = odd_map(y, log_density, inverse=True)
    >>> bool((back - x).abs().max() < 1e-6), bool((log_slope + change).abs().max() < 1e-5), bool(y[4] < x[4])
    (True, True, True)
    """
    bins = log_density.shape[-1] // 2
    h = math.pi / bins
    density = (log_density - log_density.amax(-1, keepdim=True).detach()).exp()
    mass = density @ _simpson(bins, density)
    right = mass.cumsum(-1)
    total = right[..., -1]
    size = x.abs()
    if inverse:
        k = (size.detach() / h).long()
    else:
        k = torch.searchsorted(right.detach(), (size * total / math.pi).detach()[..., None], right=True)[..., 0]
    k = k.clamp(max=bins - 1)[..., None]
    w, end = (part.gather(-1, k)[..., 0] * (math.pi / total) for part in (mass, right))
    # The slope is the even density over this one, at the two ends of the bin.
    ends = density.gather(-1, torch.cat([2 * k, 2 * k + 2], -1))
    low, high = (total[..., None] / math.pi / ends).unbind(-1)
    left, bottom = end - w, k[..., 0] * h
    secant = h / w
    bend = low + high - 2 * secant
    if inverse:
        rise = size - bottom
        a, b, c = h * (secant - low) + rise * bend, h * low - rise * bend, -secant * rise
        t = (2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())).clamp(0, 1)
        y = left + t * w
    else:
        t = ((size - left) / w).clamp(0, 1)
        y = bottom + h * (secant * t * t + low * t * (1 - t)) / (secant + bend * t * (1 - t))
    t1 = t * (1 - t)
    log_slope = 2 * secant.log() + (high * t * t + 2 * secant * t1 + low * (1 - t) ** 2).log()
    log_slope = log_slope - 2 * (secant + bend * t1).log()
    return torch.copysign(y, x), -log_slope if inverse else log_slope


def _simpson(bins: int, like: torch.Tensor) -> torch.Tensor:
    """Integrals over bins on [0, π] from values at their ends and middles: a matrix `(2 bins + 1, bins)`."""
    matrix = like.new_zeros(2 * bins + 1, bins)
    for part, weight in enumerate((1, 4, 1)):
        matrix[torch.arange(part, 2 * bins - 1 + part, 2), torch.arange(bins)] = weight * math.pi / (6 * bins)
    return matrix
