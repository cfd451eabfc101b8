"""These tests need numba's CUDA simulator, which has to be on before numba is loaded."""

import pytest


@pytest.fixture(autouse=True)
def simulator():
    import numba

    if not numba.config.ENABLE_CUDASIM:
        pytest.skip("the CUDA simulator is off: NUMBA_ENABLE_CUDASIM=1 pytest tests/gpu")
    pytest.importorskip("numba_cuda", reason="the CUDA simulator is part of numba-cuda: pip install -e '.[gpu]'")
