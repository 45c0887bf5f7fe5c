"""Every planted fault is caught within 100 examples, by the law it was made for, with a script that reproduces it."""

from __future__ import annotations

import pytest
from planted import FAULTS, Fault
from script_runs import run_script

import gradjury

EXAMPLES = 100
SCRIPT_LINES = 45


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.layer.__name__ for fault in FAULTS])
def test_fault_is_caught_with_a_script_that_reproduces_it(fault: Fault, tmp_path):
    checks = gradjury.checks(fault.layer, to=fault.to, strict=True, examples=EXAMPLES, scripts=tmp_path)
    with pytest.raises(gradjury.CheckFailed) as caught:
        next(check for check in checks if check.law.name == fault.law)()
    (failure,) = caught.value.result.failures
    assert failure.repeatable
    assert failure.script.read_text(encoding="utf-8").count("\n") <= SCRIPT_LINES
    done = run_script(failure.script)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr or "raised" in str(caught.value)


def test_there_are_thirty_faults_and_each_law_has_one():
    assert len(FAULTS) >= 30
    contract_laws = {law.name for contract in gradjury.contracts.ALL.values() for law in contract.laws}
    from gradjury.properties.laws import COMMON

    assert {fault.law for fault in FAULTS} == {law.name for law in COMMON} | contract_laws
