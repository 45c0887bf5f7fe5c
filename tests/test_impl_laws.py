"""Our own layers before every law, through the door that a stranger's layer takes."""

import gradjury
from gradjury import contracts, impl

# Sequential puts layers together and SGD uses their gradients: torch.nn has nothing to compare them with.
LAYERS = sorted(set(impl.__all__) - {"SGD", "Sequential"})


def test_every_contract_has_a_layer_and_every_layer_a_contract():
    assert sorted(contracts.ALL) == LAYERS


@gradjury.parametrize([(getattr(impl, name), name) for name in LAYERS], strict=True, examples=25)
def test_layer_keeps_the_law(check):
    check()
