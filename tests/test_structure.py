"""The house: which room may import which, and what a layer costs to add."""

from __future__ import annotations

import ast
import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest
import torch

import gradjury

ROOT = Path(gradjury.__file__).parent
ROOMS = ("impl", "oracle", "properties")


def imported(path: Path) -> set[str]:
    """The modules a file imports, relative ones spelled out."""
    package = ["gradjury", *path.relative_to(ROOT).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def files(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("path", files("impl"), ids=lambda p: p.name)
def test_impl_imports_numpy_and_the_standard_library_only(path):
    tops = {name.partition(".")[0] for name in imported(path)}
    assert not tops & {"torch", "hypothesis", "pytest", "scipy", "click", "rich"}
    assert not {n for n in imported(path) if n.startswith(("gradjury.oracle", "gradjury.properties"))}


@pytest.mark.parametrize("path", files("oracle"), ids=lambda p: p.name)
def test_oracle_imports_neither_impl_nor_properties(path):
    assert not {n for n in imported(path) if n.startswith(("gradjury.impl", "gradjury.properties"))}
    assert "hypothesis" not in {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", files("properties"), ids=lambda p: str(p.relative_to(ROOT)))
def test_properties_do_not_import_impl(path):
    assert not {n for n in imported(path) if n.startswith("gradjury.impl")}


def test_the_families_have_the_same_names_in_both_rooms():
    contracts = {p.stem for p in (ROOT / "properties" / "contracts").glob("*.py")} - {"__init__", "common"}
    layers = {p.stem for p in (ROOT / "impl").glob("*.py") if not p.stem.startswith("_")}
    assert contracts <= layers


def test_no_contract_carries_a_tolerance():
    numbers = (int, float, complex)
    for name, contract in gradjury.contracts.ALL.items():
        assert not [f.name for f in fields(contract) if isinstance(getattr(contract, f.name), numbers)], name
    for path in (ROOT / "properties" / "contracts").glob("*.py"):
        words = set(re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower()))
        assert not words & {"tol", "rtol", "atol", "tolerance", "budget", "allowed", "allowance"}, path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("script", sorted((ROOT / "docs" / "discrepancies").glob("*.py")), ids=lambda p: p.stem)
def test_torch_still_differs_where_it_is_said_to(script):
    assert script.name in (ROOT / "docs" / "discrepancies.md").read_text(encoding="utf-8")
    # In this process, which has torch loaded.
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
    finally:
        torch.use_deterministic_algorithms(False)  # one of them asks for it
    assert ended.value.code == 1, "torch has changed"
