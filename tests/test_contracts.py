"""What the contracts draw: counted, so that a domain which silently draws nothing interesting fails."""

from __future__ import annotations

import builtins
import dis
from collections import Counter
from functools import cache
from types import CodeType

import numpy as np
import pytest
import torch

import gradjury
from gradjury import impl
from gradjury.properties.adapt import Layer
from gradjury.properties.contracts.ctc import LogProbabilities
from gradjury.properties.laws.agreement import FORWARD
from gradjury.properties.trial import Trial
from gradjury.properties.twins import with_noise
from gradjury.properties.values import EDITS, NONFINITE, Brush

DRAWS = 120


@cache
def drawn(name):
    """What a trial tries."""
    layer = Layer(getattr(impl, name), gradjury.contracts.get(name), {}, {})
    return Trial(layer, examples=DRAWS).draws(FORWARD)


def main_input(name):
    """x, or the first input that is differentiated where there is no x or it holds indices."""
    specs = drawn(name)[0].specs
    if name == "WeightNorm":
        return "weight_v"  # weight_g has one number for each row
    return "x" if "x" in specs and specs["x"].grad else next(n for n, spec in specs.items() if spec.grad)


# The scope has all tests of one contract run together, by one process, which draws once.
EVERY = pytest.mark.parametrize("name", gradjury.contracts.ALL, scope="module")

# torch takes these layers' main input with one number of dimensions only.
ONE_RANK = {
    "BatchNorm2d",
    "BatchNorm3d",
    "CrossMapLRN2d",
    "UpsamplingBilinear2d",
    "Embedding",
    "EmbeddingBag",
    "Pdist",
    "AffineGrid",
}

# torch takes this layer's main input from 0 to 1 only.
CHANCES = {"BCELoss"}
# torch refuses these layers' main input where it is empty.
NEVER_EMPTY = {"CTCLoss", "ExactCTCLoss"}


@EVERY
def test_every_option_is_drawn_with_several_values(name):
    contract = gradjury.contracts.get(name)
    for option in contract.options:
        values = {repr(s.config.get(option, "default")) for s in drawn(name)}
        assert len(values) >= 2, f"{option} is always {values}"


@EVERY
def test_no_example_is_drawn_twice_and_none_is_left_out(name):
    examples = {
        (s.seed, repr(s.config), s.dtype.name, repr([(n, spec.shape) for n, spec in s.specs.items()]))
        for s in drawn(name)
    }
    assert len(examples) == len(drawn(name)) == DRAWS


@pytest.mark.parametrize("examples", [1, 2, 9, 10, 17, 18])
def test_as_many_examples_are_drawn_as_asked_for(examples):
    layer = Layer(impl.Softmax, gradjury.contracts.get("Softmax"), {}, {})
    assert len(Trial(layer, examples=examples).draws(FORWARD)) == examples


@EVERY
def test_both_dtypes_and_several_ranks_are_drawn(name):
    assert Counter(s.dtype.name for s in drawn(name)).keys() == {"float32", "float64"}
    ranks = {len(s.specs[main_input(name)].shape) for s in drawn(name)}
    assert len(ranks) >= 2 or name in ONE_RANK


@EVERY
def test_values_have_both_signs_zeros_ties_and_extremes(name):
    seen: Counter[str] = Counter()
    for situation in drawn(name):
        for case in situation.cases():
            x = case.inputs[main_input(name)]
            seen["positive"] += bool((x > 0).any())
            seen["negative"] += bool((x < 0).any())
            seen["+0"] += bool(((x == 0) & ~np.signbit(x)).any())
            seen["-0"] += bool(((x == 0) & np.signbit(x)).any())
            seen["tie"] += np.unique(x).size < x.size
            seen["tiny"] += bool((np.abs(x[x != 0]) < 1e-5).any())
            seen["huge"] += bool((np.abs(x) > 1e5).any())
            seen["distinct"] += x.size > 5 and np.unique(x).size == x.size
            seen["empty"] += x.size == 0
            seen["batch"] += x.size > 0
    cases = 8 * len(drawn(name))
    kinds = {"positive", "negative", "+0", "-0", "tie", "tiny", "huge", "distinct"}
    for kind in kinds - ({"negative", "-0", "tiny", "huge"} if name in CHANCES else set()):
        assert seen[kind] > cases / 100, f"{kind}: {seen[kind]} of {cases} cases"
    assert (seen["empty"] > 0) != (name in NEVER_EMPTY)
    assert seen["batch"] > cases / 2


@EVERY
def test_cotangents_are_never_ones_nor_zeros(name):
    for situation in drawn(name)[:100]:
        for case in situation.cases():
            for dy in case.cotangents:
                if dy.size:
                    assert not (dy == 1).all()
                    assert (dy != 0).any()


@EVERY
def test_the_first_sub_cases_are_plain_and_the_first_is_whole_numbers(name):
    for situation in drawn(name)[:50]:
        x = situation.case(0).inputs[main_input(name)]
        if name in CHANCES:
            x = 16 * (x - 0.5)
        if isinstance(situation.specs[main_input(name)], LogProbabilities):
            x = x - x[..., :1]  # whole numbers, but for what each row shares
            np.testing.assert_allclose(x, np.round(x), atol=1e-5)
            continue
        assert ((x == np.round(x)) & (np.abs(x) <= 3)).all()


@pytest.mark.parametrize("name", [*EDITS, *NONFINITE])
def test_an_edit_changes_values_and_keeps_the_shape(name):
    edit = {**EDITS, **NONFINITE}[name]
    changed = 0
    for number in range(20):
        brush = Brush(np.random.default_rng(number), whole=False, edits=())
        for shape in [(), (4,), (2, 3), (0,), (2, 0)]:
            before = brush.numbers(shape)
            after = edit(brush.rng, before.copy())
            assert np.shape(after) == shape
            changed += not np.array_equal(before, after)
    assert changed > 20


FORMULAS = [contract for contract in gradjury.contracts.ALL.values() if contract.reference.source]


def codes(code):
    """A code object and all that are in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from codes(const)


@pytest.mark.parametrize("contract", FORMULAS, ids=lambda contract: contract.name)
def test_a_formula_needs_nothing_but_torch_in_a_script(contract):
    source = compile(contract.reference.source, contract.name, "exec", dont_inherit=True)
    exec(source, {"torch": torch})
    steps = [step for code in codes(source) for step in dis.get_instructions(code)]
    used = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    defined = {step.argval for step in steps if step.opname == "STORE_NAME"}
    assert used - defined <= {"torch", *dir(builtins)}


def test_a_misspelt_contract_is_an_attribute_error_and_get_suggests():
    with pytest.raises(AttributeError):
        gradjury.contracts.Conf2d  # noqa: B018
    with pytest.raises(ValueError, match="Conv2d"):
        gradjury.contracts.get("Conf2d")
    assert "Conv2d" in dir(gradjury.contracts)


def test_masks_are_given_in_order_and_that_of_what_is_empty_is_passed_over():
    x, empty = torch.ones(2, 3), torch.ones(2, 0)
    first, second = torch.tensor([[0.0, 1, 1], [1, 0, 1]]), torch.tensor([[1.0, 1, 0], [0, 1, 1]])

    def dropped(*inputs):
        return [torch.nn.functional.dropout(a) for a in inputs]

    y, nothing, z = with_noise(lambda: dropped(x, empty, x), first, torch.ones(2, 1), second)
    assert (y == 2 * first).all()
    assert nothing.shape == (2, 0)
    assert (z == 2 * second).all()
    with pytest.raises(ValueError, match="no mask fits the shape \\(2, 3\\)"):
        with_noise(lambda: dropped(x), torch.ones(2, 1))
