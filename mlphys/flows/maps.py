"""Monotone maps of the line for coupling layers, each with numbers that are odd and even under x → −x.

A map has `odd` and `even`, how many it takes of each; `map(x, odd, even, inverse)` takes x `(…)` and the numbers `(…, odd)`
and `(…, even)` to y and log |dy/dx|, is the identity where they all vanish, and gives −y where x and odd ones change sign.
"""

import torch

from mlphys.checks import is_whole
from mlphys.flows.splines import rational_quadratic


class Affine:
    """y = x exp(scale) + shift. Source: Dinh, Sohl-Dickstein, Bengio 2017 (arXiv:1605.08803).

    >>> y, log_slope = Affine()(torch.tensor([1.0]), torch.tensor([[0.5]]), torch.tensor([[0.0]]), inverse=False)
    >>> y.item(), log_slope.item()
    (1.5, 0.0)
    """

    odd = even = 1

    def __call__(self, x, odd, even, inverse):
        shift, scale = odd[..., 0], even[..., 0]
        if inverse:
            return (x - shift) * torch.exp(-scale), -scale
        return x * torch.exp(scale) + shift, scale


class Sinh:
    """y = sinh(exp(tail) arsinh(x exp(before)) + skew) exp(after) + shift: far out a power law, y ~ x^exp(tail).

    With the power 1/2 the tails of a normal distribution become those of exp(−φ⁴). Source: Jones and Pewsey 2009
    (10.1093/biomet/asp053).

    >>> numbers = torch.tensor([[0.1, 0.2]]), torch.tensor([[0.3, -0.7, 0.2]])
    >>> y, log_slope = Sinh()(torch.tensor([2.0]), *numbers, inverse=False)
    >>> round(Sinh()(y, *numbers, inverse=True)[0].item(), 5)
    2.0
    """

    odd, even = 2, 3

    def __call__(self, x, odd, even, inverse):
        (shift, skew), (before, tail, after) = odd.unbind(-1), even.unbind(-1)
        if inverse:
            s = (x - shift) * torch.exp(-after)
            a = torch.sinh((torch.asinh(s) - skew) * torch.exp(-tail))
            y = a * torch.exp(-before)
        else:
            a = x * torch.exp(before)
            s = torch.sinh(torch.asinh(a) * torch.exp(tail) + skew)
            y = s * torch.exp(after) + shift
        log_slope = before + tail + after + (torch.log1p(s * s) - torch.log1p(a * a)) / 2
        return y, -log_slope if inverse else log_slope


class Spline:
    """A rational-quadratic spline of an even number of `bins` within ±`bound`, the identity outside, then an affine map.

    Bins that mirror one another share what is even and take what is odd with opposite signs. Raises ValueError for an odd
    number of bins. Source: Durkan, Bekasov, Murray, Papamakarios 2019 (arXiv:1906.04032).

    >>> map = Spline(bins=4)
    >>> map.odd, map.even
    (6, 7)
    """

    def __init__(self, bins: int = 8, bound: float = 5.0):
        if not is_whole(bins) or bins < 2 or bins % 2:
            raise ValueError(f"bins={bins!r} is not allowed: it must be an even whole number of at least 2")
        self.half, self.bound, self.affine = bins // 2, bound, Affine()
        # Widths, heights and slopes at the inner knots, of which the one in the middle has no odd part.
        self.odd, self.even = 3 * self.half, 3 * self.half + 1

    def __call__(self, x, odd, even, inverse):
        shift, scale = odd[..., :1], even[..., :1]
        parts = zip(even[..., 1:].split(self.half, -1), odd[..., 1:].split(self.half, -1), strict=True)
        widths, heights, slopes = (_mirrored(a, b) for a, b in parts)
        if inverse:
            y, change = self.affine(x, shift, scale, True)
            y, log_slope = rational_quadratic(y, widths, heights, slopes, self.bound, inverse=True)
        else:
            y, log_slope = rational_quadratic(x, widths, heights, slopes, self.bound)
            y, change = self.affine(y, shift, scale, False)
        return y, log_slope + change


def _mirrored(even: torch.Tensor, odd: torch.Tensor) -> torch.Tensor:
    """Numbers (…, n) that their odd part, with a sign, turns around: an even part without odd one stands in the middle."""
    n = odd.shape[-1]
    return torch.cat([even[..., :n] + odd, even[..., n:], (even[..., :n] - odd).flip(-1)], -1)
