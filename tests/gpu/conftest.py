"""These tests take a GPU, or numba's CUDA simulator, which has to be on before numba is loaded."""

import pytest


@pytest.fixture(autouse=True)
def gpu():
    pytest.importorskip("numba_cuda", reason="CUDA kernels need numba-cuda: pip install -e '.[gpu]'")
    import torch

    from mlphys import devices

    if not devices.simulated() and not torch.cuda.is_available():
        pytest.skip("no GPU, and the CUDA simulator is off: NUMBA_ENABLE_CUDASIM=1 pytest tests/gpu")
