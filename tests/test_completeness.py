"""torch.nn whole: every name of `torch.nn.modules` has a contract or a reason."""

from __future__ import annotations

from inspect import Parameter, signature

import torch

from gradjury import contracts, impl

CONTAINER = "holds modules, computes nothing"
BASE = "an abstract base class"
LAZY = "differs from the layer of that name only in that it finds out sizes at the first call"
NOT_LAYERS = {
    **dict.fromkeys(
        ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Container"), CONTAINER
    ),
    **dict.fromkeys(("Module", "RNNBase", "RNNCellBase"), BASE),
    **{f"Lazy{kind}{n}d": LAZY for kind in ("BatchNorm", "Conv", "ConvTranspose", "InstanceNorm") for n in (1, 2, 3)},
    "LazyLinear": LAZY,
    "NLLLoss2d": "the deprecated name of NLLLoss",
    "SyncBatchNorm": "batch normalisation over several processes; in one it is BatchNorm",
    "LinearCrossEntropyOptions": "options of LinearCrossEntropyLoss, no module",
}
# Functions of torch that have no module.
FUNCTIONS = {
    *("Add", "Multiply", "GridSample", "AffineGrid", "Interpolate", "Normalize", "Pad", "Pdist"),
    *("ExactCTCLoss", "GumbelSoftmax", "WeightNorm", "SpectralNorm", "ScaledDotProductAttention"),
}


def test_every_name_of_torch_nn_has_a_contract_or_a_reason():
    assert set(torch.nn.modules.__all__) == set(contracts.ALL) - FUNCTIONS | set(NOT_LAYERS)
    assert not set(contracts.ALL) & set(NOT_LAYERS)
    assert all(NOT_LAYERS.values())


def test_the_defaults_of_our_layers_are_torchs():
    for name, contract in contracts.ALL.items():
        own = signature(getattr(impl, name)).parameters
        theirs = signature(getattr(torch.nn, name)).parameters if hasattr(torch.nn, name) else {}
        for option, default in contract.reference.defaults.items():
            if default is Parameter.empty and option in theirs:  # one that a contract always draws
                default = theirs[option].default
            found = own[option].default
            assert (type(found), found) == (type(default), default), f"{name}: {option}"
