"""The training benchmark compares like with like, and our speed is still there."""

import numpy as np
import pytest
import torch
from bench_phases import race, races


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_training_is_no_slower_than_the_plain_loop():
    for name, dataset, network, plain in races([16], samples=20):
        # Nothing came between the quicker updates.
        ours, theirs = np.quantile(race(dataset, network, plain, updates=120), 0.2, axis=0)
        assert theirs / ours > 0.95, name


def test_only_the_same_training_is_compared():
    _, dataset, network, plain = next(races([8], samples=20))
    x = dataset.x[:5].float()
    assert np.allclose(plain[1](x).detach(), network(x).detach(), atol=1e-6)
    with pytest.raises(ValueError, match="not the same training"):
        race(dataset, type(network)(dataset.lattice, even=True, seed=1), plain, updates=1)
