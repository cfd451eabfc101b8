"""What unit tests share."""

import pytest


@pytest.fixture
def one_thread():
    """One thread for torch, while a test runs."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
