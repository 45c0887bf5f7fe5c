"""README's example, run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_is_found_guilty_of_its_bias(tmp_path):
    layer, check, suite, _ = blocks()
    (tmp_path / "layers.py").write_text(layer, encoding="utf-8")
    (tmp_path / "trial.py").write_text(check, encoding="utf-8")
    (tmp_path / "test_layers.py").write_text(suite, encoding="utf-8")
    done = subprocess.run([sys.executable, "trial.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MyLinear as Linear: guilty" in done.stderr
    assert "gradient of bias" in done.stderr
    assert "backward: the backward is not the derivative of its own forward" in done.stderr

    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_layers.py"]
    done = subprocess.run(pytest, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "test_my_layers[MyLinear-Linear-gradients]" in done.stdout
    assert "MyLinear breaks the law gradients" in done.stdout


def test_the_example_holds_once_it_is_mended(tmp_path):
    layer, check, _, adapted = blocks()
    (tmp_path / "layers.py").write_text(layer.replace("drows.mean(axis=0)", "drows.sum(axis=0)"), encoding="utf-8")
    (tmp_path / "trial.py").write_text(check, encoding="utf-8")
    done = subprocess.run([sys.executable, "trial.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    (tmp_path / "adapted.py").write_text(adapted, encoding="utf-8")
    command = [Path(sys.executable).with_name("gradjury"), "check", "adapted", "--examples", "20", "-j", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 layers, 7 laws: all hold" in done.stdout


def test_the_laws_of_the_table_are_the_laws_there_are():
    import gradjury
    from gradjury.properties.laws import COMMON

    table = re.findall(r"^\| `(\w+)`", README.read_text(encoding="utf-8"), re.MULTILINE)
    own = dict.fromkeys(law.name for contract in gradjury.contracts.ALL.values() for law in contract.laws)
    assert table == [*(law.name for law in COMMON), *own]
