"""The same network in fewer passes: what a convolution's weights can take in, they take in when it is loaded.

Only blocks whose forward pass is known to be ``norm(convolution(x))`` are touched, by class.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

from vlm_perception.models.runtime import import_torch

# Class of transformers -> its convolution and the batch norm that follows.
_CONV_NORM: Final = {
    "ResNetConvLayer": ("convolution", "normalization"),
    "ResNetShortCut": ("convolution", "normalization"),
    "OmDetTurboConvNormLayer": ("conv", "norm"),
}


def fuse_for_inference(model: Any) -> int:
    """Fold batch norms and RepVGG branches into convolutions, in place.

    Outputs stay the same up to rounding (Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", 2021). The
    convolutions are laid out channels last, which is faster on CPUs and on GPUs in half precision.

    Args:
        model: a ``torch.nn.Module`` in evaluation mode; it can neither be trained nor saved afterwards.

    Returns:
        How many batch norms and branches are gone.
    """
    torch = import_torch()
    folded = 0
    for module in model.modules():
        for conv, norm in _pairs(module):
            fused = torch.nn.utils.fusion.fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm))
            setattr(module, conv, fused)
            setattr(module, norm, torch.nn.Identity())
            folded += 1
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ == "OmDetTurboRepVggBlock":
                setattr(module, name, _one_branch(child))
                folded += 1
    model.to(memory_format=torch.channels_last)
    return folded


def _pairs(module: Any) -> list[tuple[str, str]]:
    """Attributes of a block that are a convolution and the batch norm applied to its output."""
    nn = import_torch().nn
    if isinstance(module, nn.Sequential):
        names = list(module._modules)  # noqa: SLF001 -- a Sequential runs its children in this order
        pairs = list(itertools.pairwise(names))
    else:
        known = _CONV_NORM.get(type(module).__name__)
        pairs = [known] if known else []
    return [
        (conv, norm)
        for conv, norm in pairs
        if isinstance(getattr(module, conv), nn.Conv2d) and isinstance(getattr(module, norm), nn.BatchNorm2d)
    ]


def _one_branch(block: Any) -> Any:
    """``activation(conv3x3(x) + conv1x1(x))`` with both convolutions in one."""
    torch = import_torch()
    wide, narrow = block.conv1.conv, block.conv2.conv
    with torch.no_grad():
        wide.weight += torch.nn.functional.pad(narrow.weight, [1, 1, 1, 1])
        wide.bias += narrow.bias
    return torch.nn.Sequential(wide, block.activation)
