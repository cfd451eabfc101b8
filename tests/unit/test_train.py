"""The training loop: a generator that can be stopped, repeats itself for a seed, and costs nothing beside the network."""

import time

import numpy as np
import pytest
import torch

from mlphys import nets, square, train

pytestmark = pytest.mark.usefixtures("one_thread")


def fresh(seed=0):
    return nets.MultilayerPerceptron(square(4), hidden=(8,), seed=seed)


def batches(generator):
    x = torch.randn(32, 16, generator=generator)
    return x, x[:, :1] + x[:, 1:2]


def loss(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def trained(steps=50, **options):
    model = fresh()
    return [step.loss for step in train.fit(model, loss, batches, steps, **options)], model


def test_same_seed_same_result_whatever_the_global_generator():
    torch.manual_seed(1)
    first, model = trained(seed=3)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second, again = trained(seed=3)
    assert first == second and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert trained(seed=4)[0] != first
    assert not torch.equal(next(fresh(1).parameters()), next(fresh(0).parameters()))


def test_closed_half_way_is_the_shorter_run():
    model = fresh().eval()
    run = train.fit(model, loss, batches, 1000)
    for step in run:
        assert model.training
        if step.step == 20:
            run.close()
    assert not model.training
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), trained(20)[1].parameters(), strict=True))


def test_interrupt_ends_the_training_and_leaves_the_model_usable():
    model, drawn = fresh().eval(), []

    def interrupted(generator):
        drawn.append(1)
        if len(drawn) == 6:
            raise KeyboardInterrupt
        return batches(generator)

    assert [step.step for step in train.fit(model, loss, interrupted, 1000)] == [1, 2, 3, 4, 5]
    assert not model.training and bool(model(torch.ones(1, 16)).isfinite())


def test_early_stopping_leaves_the_best():
    model, seen = fresh(), []

    def score(network):
        seen.append((abs(len(seen) - 3), [parameter.clone() for parameter in network.parameters()]))
        return seen[-1][0]

    run = train.keep_best(train.fit(model, loss, batches, 60), model, score, every=10)
    assert [step.step for step in run] == list(range(1, 61)) and len(seen) == 6
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), seen[3][1], strict=True))
    closed = train.keep_best(train.fit(fresh(), loss, batches, 60), fresh(), lambda network: 0.0, every=1)
    next(closed)
    closed.close()
    with pytest.raises(ValueError, match="every=0"):
        train.keep_best(run, model, score, every=0)


def test_refusals():
    with pytest.raises(ValueError, match="steps=0"):
        train.fit(fresh(), loss, batches, 0)
    with pytest.raises(ValueError, match="rate=-1"):
        train.fit(fresh(), loss, batches, 5, rate=-1)
    with pytest.raises(FloatingPointError, match="step 1"):
        list(train.fit(fresh(), lambda model, batch: loss(model, batch) * torch.nan, batches, 5))
    with pytest.raises(ValueError, match="rows"):
        train.minibatches(torch.ones(3), torch.ones(4), size=2)


def plain(model):
    """What one writes without the library."""
    optimiser, generator = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), torch.Generator().manual_seed(0)
    while True:
        optimiser.zero_grad()
        value = loss(model, batches(generator))
        value.backward()
        optimiser.step()
        yield float(value.detach())


def test_no_slower_than_a_plain_loop():
    contenders, seconds = (train.fit(fresh(), loss, batches, 3000), plain(fresh())), np.empty((3000, 2))
    for row in seconds:
        for i, contender in enumerate(contenders):
            began = time.perf_counter()
            next(contender)
            row[i] = time.perf_counter() - began
    # Single updates in turn; nothing came between the quicker ones.
    ours, theirs = np.quantile(seconds, 0.2, axis=0)
    assert theirs / ours > 0.95
