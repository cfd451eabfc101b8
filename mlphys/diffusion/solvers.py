"""Steps of differential equations on batches of configurations, and how they change densities.

Configurations are flat here, `(batch, n)`. A field is a function (x, t) -> like x, with t a number; its derivatives, where
asked for, a function (x, t) -> (field, Jacobian `(batch, n, n)` with the outputs first). One-step rules are maps x -> x' of
the whole batch, row by row, so that the density after a step follows from the Jacobian of the map itself: exactly, for steps
of any length. That Jacobian is what the same rule makes of the derivatives of x by where it started.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch

Field = Callable[[torch.Tensor, float], torch.Tensor]
Derivatives = Callable[[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]
# Newton's method on a step that is one-to-one converges in a few iterations.
MOST_ITERATIONS, MOST_HALVINGS = 50, 30


def euler(field: Field, x: torch.Tensor, t: float, until: float) -> torch.Tensor:
    """Euler's step, of first order."""
    return x + (until - t) * field(x, t)


def heun(field: Field, x: torch.Tensor, t: float, until: float) -> torch.Tensor:
    """Heun's step, of second order."""
    slope = field(x, t)
    ahead = x + (until - t) * slope
    return x + (until - t) / 2 * (slope + field(ahead, until))


def runge_kutta(field: Field, x: torch.Tensor, t: float, until: float) -> torch.Tensor:
    """The classical step of Runge and Kutta, of fourth order."""
    length, middle = until - t, (t + until) / 2
    first = field(x, t)
    second = field(x + length / 2 * first, middle)
    third = field(x + length / 2 * second, middle)
    return x + length / 6 * (first + 2 * second + 2 * third + field(x + length * third, until))


STEPS = {"euler": euler, "heun": heun, "runge_kutta": runge_kutta}


def jacobian(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`function(x)`, and its derivatives row by row, `(batch, n, n)`, with the outputs first.

    >>> jacobian(lambda x: x**2, torch.tensor([[1.0, 3.0]]))[1].tolist()
    [[[2.0, 0.0], [0.0, 6.0]]]
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = function(x)
        outputs = value.sum(0)
        rows = [torch.autograd.grad(output, x, retain_graph=True)[0] for output in outputs]
    return value.detach(), torch.stack(rows, 1)


def divergence(
    function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, probes: torch.Tensor | None = None,
    differentiable: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`function(x)`, and its divergence `(batch,)`: exact, or Hutchinson's estimate, the mean of ε·∂(function·ε)/∂x.

    `probes` are vectors ε `(n, *x.shape)` with independent elements ±1, which make the estimate unbiased.
    Source: Hutchinson 1989 (10.1080/03610918908812806).

    >>> divergence(lambda x: x**2, torch.tensor([[1.0, 3.0]]))[1].tolist()
    [8.0]
    """
    if probes is None:
        value, derivatives = jacobian(function, x)
        return value, derivatives.diagonal(dim1=1, dim2=2).sum(1)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = function(x)
        along = [torch.autograd.grad(value, x, probe, True, differentiable)[0] * probe for probe in probes]
        mean = torch.stack(along).sum(2).mean(0)
    return (value, mean) if differentiable else (value.detach(), mean.detach())


def with_jacobian(step: Callable, derivatives: Derivatives, x: torch.Tensor, t: float, until: float):
    """A step from x, and its derivatives `(batch, n, n)` with the outputs first."""

    def moved(state, t):
        slope, by_x = derivatives(state[:, 0], t)
        return torch.cat([slope[:, None], state[:, 1:] @ by_x.mT], 1)

    # Below x, row by row, its derivatives by each number of the start.
    start = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
    after = step(moved, torch.cat([x[:, None], start], 1), t, until)
    return after[:, 0], after[:, 1:].mT


def transport(derivatives: Derivatives, step: Callable, x: torch.Tensor, times: list[float]):
    """x after the steps between `times`, and ln det ∂x'/∂x `(batch,)` of the whole map, −∞ where a step turns space over."""
    log_det = x.new_zeros(len(x))
    for t, until in pairwise(times):
        x, by_x = with_jacobian(step, derivatives, x, t, until)
        log_det = log_det + _log_det(by_x)
    return x, log_det


def transport_back(field: Field, derivatives: Derivatives, step: Callable, x: torch.Tensor, times: list[float]):
    """What `transport` takes to x, and ln det of the way from there to x; FloatingPointError if a step has no inverse."""
    log_det = x.new_zeros(len(x))
    for until, t in pairwise(reversed(times)):
        ahead = partial(step, field, t=t, until=until)
        x, by_x = _inverse(ahead, partial(with_jacobian, step, derivatives, t=t, until=until), x, step(field, x, until, t))
        log_det = log_det + _log_det(by_x)
    return x, log_det


def _log_det(derivatives: torch.Tensor) -> torch.Tensor:
    sign, logarithm = torch.linalg.slogdet(derivatives)
    return torch.where(sign > 0, logarithm, -torch.inf)


def _inverse(function, derivatives, target: torch.Tensor, guess: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where `function` is `target`, and its Jacobian there: Newton's method, in each row as far as that row gets nearer."""
    eps, size, x = torch.finfo(target.dtype).eps, 1 + target.abs().amax(1), guess.clone()
    rows = torch.arange(len(x), device=x.device)
    for _ in range(MOST_ITERATIONS):
        here, aim = x[rows], target[rows]
        value, by_x = derivatives(here)
        before, move = (aim - value).abs().amax(1), torch.linalg.solve(by_x, (aim - value)[:, :, None])[:, :, 0]
        for _ in range(MOST_HALVINGS):
            left = (aim - function(here + move)).abs().amax(1)
            if bool((nearer := left < before).all()):
                break
            move = torch.where(nearer[:, None], move, move / 2)
        x[rows] = torch.where(nearer[:, None], here + move, here)
        # A row that cannot get nearer is there, up to rounding, or never will be.
        error = torch.where(nearer, left, before) / size[rows]
        if bool((~nearer & (error > eps ** (1 / 3))).any()):
            break
        rows = rows[nearer & (error > eps ** (2 / 3))]
        if len(rows) == 0:
            return x, derivatives(x)[1]
    raise FloatingPointError("a step of the probability flow could not be inverted: take more steps")


def multistep(
    data: Callable[[torch.Tensor, int], torch.Tensor], x: torch.Tensor, a: Sequence[float], s: Sequence[float]
) -> torch.Tensor:  # fmt: skip
    """x carried along the probability flow between levels with the factors `a` of the data and `s` of the noise.

    `data(x, k)` is what the data are expected to be, given x at level k: the integral of e^λ data over λ = ln a/s is the
    change of x/s. Over a step, the data are a polynomial in λ: first through the last three levels, then, to correct it, one
    through the new level too. One evaluation a level, fourth order. Source: Zhao et al. 2023 (arXiv:2302.04867).

    >>> x, levels = torch.tensor([[2.0]]), ([0.1, 0.5, 1.0], [0.995, 0.87, 0.1])
    >>> round(multistep(lambda x, k: torch.ones(1, 1), x, *levels).item(), 4)  # data that are 1: (x − a)/s stays
    1.191
    """
    levels = [math.log(signal / noise) for signal, noise in zip(a, s, strict=True)]
    known: list[torch.Tensor] = []  # data at level k, k − 1, …
    start = x

    def carried(x, known, k, latest):
        nodes = levels[latest - len(known) + 1 : latest + 1][::-1]
        parts = zip(_weights(nodes, levels[k], levels[k + 1]), known, strict=True)
        return s[k + 1] / s[k] * x + a[k + 1] * sum(weight * part for weight, part in parts)

    for k in range(len(levels) - 1):
        known = [data(x, k), *known[:3]]
        start = carried(start, known, k - 1, k) if k else x
        x = carried(start, known[:3], k, k)
    return x


def _weights(nodes: list[float], start: float, end: float) -> list[float]:
    """Of values at the nodes in the integral of e^(λ − end) times the polynomial through them, from `start` to `end`."""
    length = end - start
    moments = [-math.expm1(-length)]
    for power in range(1, len(nodes)):
        moments.append(length**power - power * moments[-1])
    return np.linalg.solve(np.vander([node - start for node in nodes], increasing=True).T, moments).tolist()


def with_density(divergence: Derivatives) -> Field:
    """The field of (x, ℓ) `(batch, n + 1)`, in which ℓ gathers the divergence: −ℓ is the change of the log density."""

    def augmented(state: torch.Tensor, t: float) -> torch.Tensor:
        value, change = divergence(state[:, :-1], t)
        return torch.cat([value, change[:, None]], 1)

    return augmented


def adaptive(field: Field, x: torch.Tensor, start: float, end: float, tolerance: float) -> torch.Tensor:
    """x carried from `start` to `end` by Dormand and Prince's method of order 5, with the error kept to `tolerance`."""
    from scipy.integrate import solve_ivp

    def slope(t, flat):
        return field(torch.from_numpy(flat).to(x).reshape(x.shape), t).flatten().cpu().double().numpy()

    found = solve_ivp(slope, (start, end), x.flatten().cpu().double().numpy(), rtol=tolerance, atol=tolerance)
    return torch.from_numpy(found.y[:, -1]).to(x).reshape(x.shape)
