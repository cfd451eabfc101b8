"""Arrays on the CPU (numpy's) and on the GPU (numba's device arrays): how they move, and how torch sees them."""

from typing import Any

import numpy as np

from mlphys import checks


def simulated() -> bool:
    """Whether numba simulates CUDA on the CPU (`NUMBA_ENABLE_CUDASIM=1`), as the tests do."""
    import numba

    return bool(numba.config.ENABLE_CUDASIM)


def check(name, kernels: bool = True) -> str:
    """The name of a device; ValueError, with the reason, unless it can be used on this machine.

    With `kernels` by numba's kernels, else by torch alone.
    """
    checks.one_of("device", str(name), ("cpu", "cuda"))
    if str(name) == "cuda" and not simulated():
        from importlib.util import find_spec

        import torch

        if not torch.cuda.is_available():
            raise ValueError("device='cuda' is not available: PyTorch finds no GPU on this machine; use device='cpu'")
        if kernels and find_spec("numba_cuda") is None:
            raise ValueError("device='cuda' is not available: its kernels need numba-cuda; pip install 'mlphys[gpu]'")
    return str(name)


def on_gpu(array) -> bool:
    return hasattr(array, "copy_to_host")


def to(array, device: str) -> Any:
    """`array` on `device`: itself where it is there already."""
    if device == "cpu":
        return array.copy_to_host() if on_gpu(array) else array
    if on_gpu(array):
        return array
    from numba import cuda

    return cuda.to_device(np.ascontiguousarray(array))


def copy(array) -> Any:
    """A copy of `array` where it is."""
    if not on_gpu(array):
        return array.copy()
    from numba import cuda

    twin = cuda.device_array_like(array)
    twin.copy_to_device(array)
    return twin


def tensor(array):
    """`array` as a torch tensor that shares its memory."""
    import torch

    if not on_gpu(array):
        return torch.from_numpy(array)
    return torch.from_numpy(array._ary) if simulated() else torch.as_tensor(array, device="cuda")


def synchronise(device: str) -> None:
    """Wait until `device` has done all that was asked of it."""
    if device == "cuda":
        from numba import cuda

        cuda.synchronize()
