"""Our own layers before every law, through the door that a stranger's layer takes."""

import pytest

import gradjury
from gradjury import contracts, impl

# Sequential puts layers together and optimizers use their gradients: training in lockstep is their proof.
LAYERS = sorted(set(impl.__all__) - {"SGD", "Adam", "AdamW", "Sequential"})


def test_every_contract_has_a_layer_and_every_layer_a_contract():
    assert sorted(contracts.ALL) == LAYERS


EXAMPLES = 15
# With as few these are vacuous: some of their gradients are seldom asked for.
MORE = {
    "CrossEntropyLoss": 25,
    "LSTM": 30,
    "MultiheadAttention": 25,
    "Transformer": 50,
    "TransformerDecoder": 50,
}


# All laws of a layer together: they share what is drawn, and what torch answers.
@pytest.mark.parametrize("name", LAYERS)
def test_layer_keeps_every_law(name):
    gradjury.check_layer(getattr(impl, name), to=name, strict=True, examples=MORE.get(name, EXAMPLES))
