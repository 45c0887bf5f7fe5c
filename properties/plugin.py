"""The pytest plugin: options, findings in place of tracebacks, results as JSON.

It is loaded at every start of pytest, so it imports nothing but pytest; what it reports on was imported by the tests.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from .session import EXAMPLES, SCRIPTS, current

# Against pull requests, the same search each time; at night a longer one, elsewhere each time.
NIGHTLY = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; all begin with --gradjury."""
    group = parser.getgroup("gradjury", "gradjury: hand-written backward passes on trial")
    group.addoption(
        "--gradjury-examples",
        type=int,
        metavar="N",
        help=f"examples a law (default: {EXAMPLES}; with --hypothesis-profile=nightly {NIGHTLY * EXAMPLES})",
    )
    group.addoption(
        "--gradjury-seed",
        type=int,
        metavar="N",
        help="the same seed draws the same examples (default: 0; with --hypothesis-profile=nightly another each time)",
    )
    group.addoption(
        "--gradjury-scripts", metavar="DIR", help=f"the folder for reproduction scripts (default: {SCRIPTS})"
    )
    group.addoption("--gradjury-json", metavar="FILE", help="write the results to this file")


@pytest.hookimpl(tryfirst=True)  # Hypothesis' own plugin looks for the profile next
def pytest_configure(config: pytest.Config) -> None:
    """Take the options over; the workers of pytest-xdist are given the same."""
    option = config.option
    profile = getattr(option, "hypothesis_profile", None)
    if profile in ("ci", "nightly"):
        _register(profile)
    nightly = profile == "nightly"
    if option.gradjury_examples is None:
        option.gradjury_examples = NIGHTLY * EXAMPLES if nightly else EXAMPLES
    if option.gradjury_seed is None:
        option.gradjury_seed = random.SystemRandom().randrange(2**32) if nightly else 0
    if option.gradjury_examples < 1 or option.gradjury_seed < 0:
        raise pytest.UsageError("--gradjury-examples must be at least 1, and --gradjury-seed at least 0")
    if option.gradjury_json and not Path(option.gradjury_json).resolve().parent.is_dir():
        raise pytest.UsageError(f"--gradjury-json: the folder of {option.gradjury_json} does not exist")
    current.examples, current.seed = option.gradjury_examples, option.gradjury_seed
    current.scripts = Path(option.gradjury_scripts or SCRIPTS)
    if option.gradjury_json and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(Path(option.gradjury_json)), "gradjury-json")


def _register(profile: str) -> None:
    """The profiles that --hypothesis-profile may name, unless they are known."""
    import hypothesis

    try:
        hypothesis.settings.get_profile(profile)
    except hypothesis.errors.InvalidArgument:
        examples = NIGHTLY * EXAMPLES if profile == "nightly" else EXAMPLES
        hypothesis.settings.register_profile(profile, derandomize=profile == "ci", max_examples=examples, deadline=None)


def pytest_report_header(config: pytest.Config) -> str | None:
    """What is drawn, where it is not what is always drawn."""
    option = config.option
    if (option.gradjury_examples, option.gradjury_seed) == (EXAMPLES, 0):
        return None
    return f"gradjury: {option.gradjury_examples} examples a law, seed {option.gradjury_seed}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The finding in place of a traceback, and the results on the report, which goes from worker to controller."""
    report = yield
    check = sys.modules.get("gradjury.properties.check")
    if check is None or call.when != "call":
        return report
    if report.failed and call.excinfo is not None and isinstance(call.excinfo.value, check.CheckFailed):
        report.longrepr = str(call.excinfo.value)
    callspec = getattr(item, "callspec", None)
    tried = [value for value in callspec.params.values() if isinstance(value, check.Check)] if callspec else []
    results = [result.as_dict() for one in tried for result in one.results]
    if results:
        report.gradjury = results  # type: ignore[attr-defined]
    return report


class _Collector:
    """Results of all tests, written as one file at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._layers: dict[tuple[str, str], dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather the laws of each layer."""
        for result in getattr(report, "gradjury", ()):
            layer = self._layers.setdefault((result["layer"], result["contract"]), {**result, "laws": []})
            layer["laws"] += result["laws"]
            layer["passed"] = all(law["passed"] for law in layer["laws"])

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        from .files import write_json

        layers = list(self._layers.values())
        passed = all(layer["passed"] for layer in layers)
        data = {"seed": current.seed, "examples": current.examples, "passed": passed, "layers": layers}
        write_json(self._file, data)
