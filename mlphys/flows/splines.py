"""Monotone maps of the line with as many parameters as wanted, and inverses without iteration."""

import torch
from torch.nn.functional import pad, softplus

# Bins are never narrower than this part of a mean bin, and slopes never below it: inverses stay accurate in float32.
SMALLEST = 1e-2


def rational_quadratic(
    x: torch.Tensor, widths: torch.Tensor, heights: torch.Tensor, slopes: torch.Tensor, bound: float, inverse: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """A rational-quadratic spline from [−bound, bound] to itself, the identity outside: y and log dy/dx, shaped like x.

    widths, heights: any numbers `(…, bins)`, whose softmax are the sides of the bins; slopes: any numbers `(…, bins − 1)`, 0
    for a slope of 1, at the knots inside; at ±bound the slope is 1. With `inverse` the inverse map of the same parameters,
    from the formula for roots that loses no digits. Source: Durkan, Bekasov, Murray, Papamakarios 2019 (arXiv:1906.04032).

    >>> x, (w, h) = torch.tensor([-0.5, 0.2, 3.0]), torch.tensor([[0.0, 1.0, 0.0, 0.5], [0.3, 0.0, 0.0, 0.0]])
    >>> y, log_slope = rational_quadratic(x, w.expand(3, 4), h.expand(3, 4), torch.zeros(3, 3), bound=1.0)
    >>> back, change = rational_quadratic(y, w.expand(3, 4), h.expand(3, 4), torch.zeros(3, 3), bound=1.0, inverse=True)
    >>> bool((back - x).abs().max() < 1e-5), bool((log_slope + change).abs().max() < 1e-5)
    (True, True)
    """
    w, left = _bins(widths, bound)
    h, bottom = _bins(heights, bound)
    one = torch.log(torch.expm1(torch.ones((), dtype=slopes.dtype, device=slopes.device) * (1 - SMALLEST)))
    d = pad(SMALLEST + softplus(slopes + one), (1, 1), value=1.0)
    inside = x.abs() < bound
    outside, x = x, torch.where(inside, x, 0.0)

    knots = (bottom if inverse else left)[..., 1:]  # the inner ones
    k = (x[..., None] >= knots).sum(-1, keepdim=True)
    w, left, h, bottom, low, high = (
        part.gather(-1, k)[..., 0] for part in (w, left, h, bottom, d[..., :-1], d[..., 1:])
    )  # fmt: skip
    secant = h / w
    bend = low + high - 2 * secant
    if inverse:
        rise = x - bottom
        a, b, c = h * (secant - low) + rise * bend, h * low - rise * bend, -secant * rise
        t = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())
        y = left + t * w
    else:
        t = (x - left) / w
    t1 = t * (1 - t)
    below = secant + bend * t1
    if not inverse:
        y = bottom + h * (secant * t * t + low * t1) / below
    slope = secant * secant * (high * t * t + 2 * secant * t1 + low * (1 - t) ** 2) / (below * below)
    log_slope = slope.log()
    return torch.where(inside, y, outside), torch.where(inside, -log_slope if inverse else log_slope, 0.0)


def _bins(numbers: torch.Tensor, bound: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Sides of the bins and where each begins, both `(…, bins)`."""
    sides = 2 * bound * (SMALLEST / numbers.shape[-1] + (1 - SMALLEST) * numbers.softmax(-1))
    return sides, pad(sides[..., :-1].cumsum(-1), (1, 0)) - bound
