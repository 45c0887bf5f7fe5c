"""The declarations of mutants of our own layers: what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import gradjury
import gradjury.impl
from gradjury.properties.mutation.command import read_declared
from gradjury.properties.mutation.mutants import mutants_of
from gradjury.properties.mutation.planting import needed


def test_our_declarations_name_mutants_that_exist():
    file = Path(gradjury.__file__).parent / "benchmarks" / "mutation" / "equivalent.toml"
    declared = read_declared(file)
    layers = [name for name in declared if "." not in name]
    assert layers
    left = {mutant for table in declared for mutant in declared[table] if "." in table}
    for name in [*layers, *gradjury.impl.__all__]:
        modules = {mutant.partition(":")[0] for mutant in left}
        layer = getattr(gradjury.impl, name)
        if name in layers or (name in gradjury.contracts.ALL and modules & needed(layer.__module__)):
            mutants = {mutant.id for mutant in mutants_of(layer)}
            assert not set(declared.get(name, {})) - mutants
            left -= mutants
    assert not left


def test_unit_tests_that_declarations_name_exist():
    root = Path(gradjury.__file__).parent
    declared = read_declared(root / "benchmarks" / "mutation" / "equivalent.toml")
    named = {
        name
        for table in declared.values()
        for reason in table.values()
        for name in re.findall(r"tests/\w+\.py", reason)
    }
    assert named
    assert all((root / name).is_file() for name in named)
