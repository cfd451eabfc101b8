"""The one training loop: a generator, so that a notebook, a widget and a script drive the same code."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from mlphys import checks
from mlphys.random import torch_generator


@dataclass(frozen=True)
class Step:
    """One update of the parameters: its number, counted from 1, and the loss before it."""

    step: int
    loss: float


def fit(
    model: torch.nn.Module, loss: Callable[[torch.nn.Module, Any], torch.Tensor], batches: Callable[[torch.Generator], Any],
    steps: int, seed=0, rate: checks.Schedule = 1e-3, optimiser: torch.optim.Optimizer | None = None,
) -> Iterator[Step]:
    """Minimise `loss(model, batch)` over the parameters of `model`, in place; yields a `Step` after each update.

    `batches` draws a batch from a torch generator (on the CPU), the only source of randomness: the same seed gives the same
    parameters. `optimiser` is Adam unless given, with learning rate `rate`, a number or a function of the step, 1, 2, ….
    Closing the generator, or Ctrl-C in the middle of an update, ends the training and leaves the model usable. Raises
    ValueError for bad arguments, and FloatingPointError for a loss that is not finite. Source of Adam: Kingma and Ba 2015
    (arXiv:1412.6980).

    >>> line = torch.nn.Linear(1, 1)
    >>> def batches(generator):
    ...     x = torch.randn(64, 1, generator=generator)
    ...     return x, 3 * x
    >>> for step in fit(line, lambda model, batch: (model(batch[0]) - batch[1]).square().mean(), batches, 500, rate=0.02):
    ...     pass
    >>> step.step, step.loss < 1e-3
    (500, True)
    """
    steps, seed = checks.whole("steps", steps, 1), checks.seed(seed)
    rates: Callable[[int], float] | None = checks.schedule("rate", rate) if optimiser is None else None
    if optimiser is None:
        optimiser = torch.optim.Adam(model.parameters(), fused=True)
    return _updates(model, loss, batches, steps, torch_generator(seed, "batches"), optimiser, rates)


def _updates(model, loss, batches, steps, generator, optimiser, rates) -> Iterator[Step]:
    mode = model.training
    model.train()
    try:
        for step in range(1, steps + 1):
            optimiser.zero_grad()
            value = loss(model, batches(generator))
            value.backward()
            now = float(value.detach())
            if not math.isfinite(now):
                raise FloatingPointError(f"the loss is {now} at step {step}: lower the learning rate, or look at the data")
            for group in optimiser.param_groups if rates else ():
                group["lr"] = rates(step)
            optimiser.step()
            yield Step(step, now)
    except KeyboardInterrupt:
        return
    finally:
        model.train(mode)


def keep_best(
    training: Iterator[Step], model: torch.nn.Module, score: Callable[[Any], float], every: int = 100
) -> Iterator[Step]:
    """Pass the steps of a training on, and leave `model` as it was when `score(model)` was lowest: early stopping.

    The score, such as the loss on held-out data, is looked at after `every` steps, and decides alone: the data it looks at
    must not be those on which the result is judged. Raises ValueError unless `every` is a whole number of at least 1.

    >>> model = torch.nn.ParameterList([torch.zeros(1)])
    >>> training = fit(model, lambda model, batch: model[0].sum(), lambda generator: None, steps=40, rate=0.1)
    >>> for step in keep_best(training, model, lambda model: abs(model[0].item() + 1), every=1):
    ...     pass
    >>> step.step, abs(model[0].item() + 1) < 0.1
    (40, True)
    """
    return _watched(training, model, score, checks.whole("every", every, 1))


def _watched(training, model, score, every) -> Iterator[Step]:
    lowest, best = math.inf, None
    try:
        for step in training:
            if step.step % every == 0 and (now := score(model)) < lowest:
                lowest, best = now, copy.deepcopy(model.state_dict())
            yield step
    finally:
        if best is not None:
            model.load_state_dict(best)


def minibatches(*arrays: torch.Tensor, size: int) -> Callable[[torch.Generator], tuple[torch.Tensor, ...]]:
    """Batches for `fit` of `size` rows drawn with replacement, the same rows of each tensor.

    >>> draw = minibatches(torch.arange(10), 2 * torch.arange(10), size=4)
    >>> x, y = draw(torch.Generator().manual_seed(1))
    >>> bool((y == 2 * x).all())
    True
    """
    size, rows = checks.whole("size", size, 1), {len(array) for array in arrays}
    if len(rows) != 1 or 0 in rows:
        raise ValueError(f"arrays have {sorted(rows)} rows: allowed is one number, the same for all, above 0")
    (count,) = rows

    def draw(generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        index = torch.randint(count, (size,), generator=generator)
        return tuple(array.index_select(0, index.to(array.device)) for array in arrays)

    return draw
