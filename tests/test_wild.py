"""Real packages on trial: what can be said of the declarations, the document and the scripts without the packages, and
whether the document's verdicts still hold where a package is installed.
"""

import ast
import importlib
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import gradjury

ROOT = Path(__file__).resolve().parents[1]
WILD = ROOT / "examples" / "wild"
DOCUMENT = (ROOT / "docs" / "wild.md").read_text(encoding="utf-8")
DECLARATIONS = sorted(WILD.glob("wild_*.py"))
REQUIREMENTS = sorted(WILD.glob("requirements-*.txt"))
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in WILD.glob("scripts/*/*.py"))
ADAPTERS = ("adapt", "layer_of")
MOST_LINES = 10

# "## numpy-ml 0.1.2" begins the section of a package; its table has a row a layer: | `Name` | contract | verdict |
SECTIONS = {
    (name, number): body
    for name, number, body in re.findall(r"^## (\S+) (\d\S+)\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
}


def file_of(package):
    return WILD / f"wild_{package.replace('-', '_')}.py"


def rows(body):
    """The verdict of each layer."""
    return dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", body, re.MULTILINE))


def scripts_of(body):
    return re.findall(r"`(examples/wild/scripts/\S+\.py)`", body)


def assigned(tree):
    """The layers that a file declares at its top level, or under a condition there: their names and factories."""
    found = {}
    for node in ast.walk(tree):
        call = getattr(node, "value", None)
        if isinstance(node, ast.Assign) and node.col_offset in (0, 4) and isinstance(call, ast.Call):
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if called in ADAPTERS:
                found[node.targets[0].id] = call.args[0].id
    return found


def lines_of(function):
    """The lines of a function's body, its docstring and blank lines aside."""
    body = [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    return len("\n".join(filter(None, map(str.strip, ast.unparse(ast.Module(body, [])).splitlines()))).splitlines())


@pytest.mark.parametrize("file", DECLARATIONS, ids=lambda file: file.stem)
def test_each_layer_is_declared_in_ten_lines_at_most(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    layers = assigned(tree)
    assert layers
    assert set(layers.values()) <= set(functions), "factories stand at the top level, for scripts to import"
    assert {name: n for name in functions if (n := lines_of(functions[name])) > MOST_LINES} == {}


def test_every_requirement_is_pinned_and_every_package_has_its_requirements():
    lines = [line for file in REQUIREMENTS for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==\d[\w.]*", line)] == []
    assert {tuple(file.read_text(encoding="utf-8").split()[0].split("==")) for file in REQUIREMENTS} == set(SECTIONS)


@pytest.mark.parametrize("package", sorted({name for name, _ in SECTIONS}))
def test_the_document_has_a_verdict_of_every_layer_that_is_declared(package):
    declared = set(assigned(ast.parse(file_of(package).read_text(encoding="utf-8"))))
    told = [set(rows(body)) for (name, _), body in SECTIONS.items() if name == package]
    assert set().union(*told) == declared


def test_every_finding_has_its_script_and_every_script_its_finding():
    told = [script for body in SECTIONS.values() for script in scripts_of(body)]
    assert sorted(told) == SCRIPTS
    findings = [text for body in SECTIONS.values() for text in body.split("\n### ")[1:]]
    assert [text.splitlines()[0] for text in findings if len(scripts_of(text)) != 1] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_name_no_path_of_a_machine(script):
    text = (ROOT / script).read_text(encoding="utf-8")
    assert "sys.path.insert(0, str(Path(__file__).resolve().parents[4]))" in text
    assert not re.search(r"['\"]/(?!\s)\w", text)


def installed(package, number):
    """The module of declarations where the package is installed in this version; otherwise the test is skipped."""
    try:
        found = version(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    if found != number:
        pytest.skip(f"{package} is installed in version {found}, not {number}")
    sys.path.insert(0, str(ROOT))
    return importlib.import_module(f"examples.wild.{file_of(package).stem}")


@pytest.mark.filterwarnings("default")  # what packages warn of is their own affair
@pytest.mark.parametrize(("package", "number"), sorted(SECTIONS), ids=str)
def test_what_holds_in_the_document_holds_where_the_package_is_installed(package, number):
    module = installed(package, number)
    held = [name for name, verdict in rows(SECTIONS[package, number]).items() if verdict == "holds"]
    guilty = [name for name in held if guilt(getattr(module, name))]
    assert guilty == []


def guilt(layer):
    """Whether a few examples find a law broken; too few to certify that all gradients were seen."""
    return any(check.run().failure for check in gradjury.checks(layer, examples=3))


@pytest.mark.parametrize(("package", "number"), sorted(SECTIONS), ids=str)
def test_scripts_of_the_document_still_find_what_they_found(package, number):
    installed(package, number)
    body = SECTIONS[package, number]
    assert [script for script in scripts_of(body) if not finds(script, body)] == []


def finds(script, body):
    """Whether it says that the layer is wrong, or the layer raises what the document says that it raises."""
    run = subprocess.run(
        [sys.executable, str(ROOT / script)], capture_output=True, check=False, timeout=600, encoding="utf-8"
    )
    raised = run.stderr.rstrip().rpartition("\n")[2].partition(". Did you mean")[0]  # which only Python's printer adds
    return run.returncode == 1 and (run.stdout.endswith("wrong\n") or f"raised {raised}" in body)
