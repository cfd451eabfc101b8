"""A device that this machine does not have: tensors there compute, but neither mix with others nor become arrays."""

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")
MOVES = ("_to_copy", "copy_")


class Far(torch.Tensor):
    """A tensor elsewhere; its numbers are in `near`."""

    @staticmethod
    def __new__(cls, near):
        layout = (near.shape, near.stride(), near.storage_offset())
        return torch.Tensor._make_wrapper_subclass(cls, *layout, dtype=near.dtype, device=ELSEWHERE)

    def __init__(self, near):
        self.near = near

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        return _run(function, arguments, options or {})


def _run(function, arguments, options):
    name, where = function.overloadpacket.__name__, options.get("device")
    tensors = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, torch.Tensor)]
    away = any(isinstance(tensor, Far) for tensor in tensors)
    if away and name not in MOVES and any(tensor.ndim and not isinstance(tensor, Far) for tensor in tensors):
        raise RuntimeError(f"{name} mixes tensors of two devices")
    if where is not None:
        away, options = torch.device(where) == ELSEWHERE, {**options, "device": "cpu"}
    arguments_near, options_near = tree_map(lambda leaf: leaf.near if isinstance(leaf, Far) else leaf, (arguments, options))
    found = function(*arguments_near, **options_near)
    if name.endswith("_") and isinstance(found, torch.Tensor):
        return arguments[0]
    # What is to be conjugated later is not visible from outside.
    return tree_map(lambda leaf: Far(leaf.resolve_conj().resolve_neg()) if away and torch.is_tensor(leaf) else leaf, found)


class Elsewhere(TorchDispatchMode):
    """Inside, networks can be `sent` away."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        return _run(function, arguments, options or {})


def sent(psi: nn.Module) -> nn.Module:
    """`psi.to(ELSEWHERE)`, in place."""
    for module in psi.modules():
        for name, parameter in module._parameters.items():
            module._parameters[name] = nn.Parameter(parameter.detach().to(ELSEWHERE))
        for name, buffer in module._buffers.items():
            module._buffers[name] = buffer.to(ELSEWHERE)
    return psi


def vector_to_parameters(vector, parameters):
    """As torch's, which gives a parameter another memory and so leaves `near` behind."""
    parameters = list(parameters)
    for parameter, part in zip(parameters, vector.split([parameter.numel() for parameter in parameters]), strict=True):
        parameter.copy_(part.view_as(parameter))
