"""The count of false alarms: its bound is right, an alarm is counted, and gradcheck sees what the laws see."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from gradjury import contracts, impl
from gradjury.oracle.vjp import Case
from gradjury.properties.contract import Contract
from gradjury.properties.twins import Function

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "false_alarms.py"


@pytest.fixture
def benchmark(monkeypatch):
    spec = importlib.util.spec_from_file_location("false_alarms", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("alarms", "trials"), [(0, 100_000), (0, 10), (1, 100), (7, 50)])
def test_bound_is_where_so_few_alarms_are_this_unlikely(benchmark, alarms, trials):
    from scipy.stats import binom

    assert binom.cdf(alarms, trials, benchmark.clopper_pearson(alarms, trials)) == pytest.approx(0.05)


def test_bound_of_no_alarm_in_100_000_is_three_in_100_000(benchmark):
    assert benchmark.clopper_pearson(0, 100_000) == pytest.approx(3.0e-5, rel=0.01)
    assert benchmark.clopper_pearson(5, 5) == 1


class OneAtZero(impl.ReLU):
    def __call__(self, x):
        return np.maximum(x, 0), lambda dy: {"x": np.where(x < 0, 0, dy)}


def test_an_alarm_is_counted_with_its_finding_and_its_case(benchmark, tmp_path):
    right = benchmark.count_alarms(impl.ReLU, "ReLU", 5, 0, 4, str(tmp_path))
    wrong = benchmark.count_alarms(OneAtZero, "ReLU", 5, 0, 4, str(tmp_path))
    assert not right.alarms
    assert 0 < right.examples <= 3 * 5
    assert right.cases > 8 * right.examples
    assert any("OneAtZero breaks the law gradients" in alarm and "smallest case" in alarm for alarm in wrong.alarms)
    assert wrong.bound > right.bound
    assert 0 < right.gradchecks <= 4
    total = right + wrong
    assert (total.examples, total.alarms) == (right.examples + wrong.examples, wrong.alarms)


def test_gradcheck_alarms_at_a_kink_and_not_beside_it(benchmark):
    def at(x):
        return Case({}, {"x": np.array([x])}, (np.ones(1),), ("x",))

    assert benchmark.gradcheck(contracts.ReLU, at(0.5))
    assert not benchmark.gradcheck(contracts.ReLU, at(0.0))


def test_gradcheck_tries_every_so_many_cases_in_float64_and_counts_what_it_leaves_out(benchmark):
    gradcheck = benchmark.Gradcheck(wanted=2, every=2)

    class Bench:
        contract = Contract("Exp", Function(torch.exp, ("x",)), contracts.Tanh.domain)

    for size, dtype in [
        (1, "f4"),
        (1, "f8"),
        (500, "f8"),
        (1, "f8"),
        (0, "f8"),
        (1, "f8"),
        (3, "f8"),
        *[(1, "f8")] * 9,
    ]:
        gradcheck.judge(Bench, Case({}, {"x": np.ones(size, dtype)}, (np.ones(size, dtype),), ("x",)))
    assert (gradcheck.tried, gradcheck.left_out, gradcheck.alarms) == (2, 2, 0)


def test_command_line_prints_a_row_a_layer_and_the_total(benchmark):
    arguments = ["--examples", "3", "--seeds", "0,1", "--layers", "ReLU,Flatten", "--gradcheck", "2", "-j", "1"]
    done = CliRunner().invoke(benchmark.main, arguments)
    assert [line.split()[0] for line in done.output.splitlines()[:4]] == ["layer", "ReLU", "Flatten", "all"]
    assert done.exit_code == 0
    assert CliRunner().invoke(benchmark.main, ["--layers", "Relu"]).exit_code == 2
    assert CliRunner().invoke(benchmark.main, ["--seeds", "one"]).exit_code == 2
