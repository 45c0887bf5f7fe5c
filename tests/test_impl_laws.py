"""Our own layers before every law, through the door that a stranger's layer takes."""

import gradjury
from gradjury import contracts, impl

# Sequential puts layers together and optimizers use their gradients: training in lockstep is their proof.
LAYERS = sorted(set(impl.__all__) - {"SGD", "Adam", "AdamW", "Sequential"})


def test_every_contract_has_a_layer_and_every_layer_a_contract():
    assert sorted(contracts.ALL) == LAYERS


@gradjury.parametrize([(getattr(impl, name), name) for name in LAYERS], strict=True, examples=8)
def test_layer_keeps_the_law(check):
    check()
