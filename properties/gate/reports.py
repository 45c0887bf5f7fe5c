"""What the gate found, for people and for machines: terminal, JUnit XML, GitHub annotations, Markdown, JSON."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from ..events import Result
from ..explain import result_as_dict
from .compare import Change, Finding
from .speed import Speed


@dataclass(frozen=True)
class Report:
    """One run of the gate. `places` has the file and line of each layer's source, where that is known."""

    baseline: Path
    findings: tuple[Finding, ...]
    results: Mapping[str, Result]
    speeds: tuple[Speed, ...]
    notes: tuple[str, ...]
    places: Mapping[str, tuple[str, int]]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing got worse."""
        return not self.of(Change.WORSE)

    def of(self, change: Change) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.change is change]

    @property
    def headline(self) -> str:
        """One line that says it all."""
        worse = len(self.of(Change.WORSE))
        laws = sum(len(result.laws) for result in self.results.values())
        state = f"{worse} got worse" if worse else "nothing got worse"
        return f"{_count(len(self.results), 'layer')}, {_count(laws, 'law')}, compared with {self.baseline}: {state}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


TITLES = {
    Change.WORSE: "Got worse",
    Change.KNOWN: "Known, and no worse than before",
    Change.BETTER: "Got better; --update writes it down",
    Change.NEW: "Not in the baseline; --update adds it",
}


def show(console: Console, report: Report) -> None:
    """The findings in full where they fail, else a line each, then the headline."""
    for change in (Change.NEW, Change.KNOWN, Change.BETTER, Change.WORSE):
        found = report.of(change)
        if found:
            style = "bold red" if change is Change.WORSE else "bold"
            console.print(Text(f"\n{TITLES[change]}:", style=style))
        for finding in found:
            console.print(Text(f"  {finding}"), soft_wrap=True)
            if change is Change.WORSE and finding.text:
                console.print(Text(_indented(finding.text, "    ")), soft_wrap=True)
    console.print()
    for note in report.notes:
        console.print(Text(note), soft_wrap=True)
    console.print(Text(report.headline, style="bold green" if report.passed else "bold red"), soft_wrap=True)


def _indented(text: str, indent: str) -> str:
    return "\n".join(indent + line for line in text.splitlines())


def as_dict(report: Report) -> dict[str, Any]:
    """Plain data, for JSON."""
    return {
        "passed": report.passed,
        "baseline": str(report.baseline),
        "notes": list(report.notes),
        "findings": [
            {
                "layer": f.layer,
                "aspect": f.aspect,
                "change": f.change.value,
                "what": f.what,
                "then": f.then,
                "now": f.now,
                "text": f.text,
                "script": f.script,
            }
            for f in report.findings
        ],
        "speed": [
            {"layer": s.layer, "ratio": _finite(s.ratio), "noise": _finite(s.noise), "why": s.why}
            for s in report.speeds
        ],
        "layers": {key: result_as_dict(result) for key, result in report.results.items()},
    }


def _finite(number: float) -> float | None:
    return round(number, 4) if math.isfinite(number) else None


def junit(report: Report) -> str:
    """JUnit XML: a test case for each layer and law, and for coverage, speed or a whole layer where they changed."""
    rows: dict[tuple[str, str], float] = {
        (key, law.law): law.seconds for key, result in report.results.items() for law in result.laws
    }
    rows |= {(speed.layer, "speed"): 0.0 for speed in report.speeds if not speed.why}
    rows |= {(f.layer, f.aspect): 0.0 for f in report.findings if (f.layer, f.aspect) not in rows}
    worse = {(f.layer, f.aspect): f for f in report.of(Change.WORSE)}
    known = {(f.layer, f.aspect) for f in report.of(Change.KNOWN)} - set(worse)
    suite = ElementTree.Element("testsuite", name="gradjury gate", tests=str(len(rows)), errors="0")
    suite.set("failures", str(len(worse)))
    suite.set("skipped", str(len(known)))
    suite.set("time", f"{report.seconds:.3f}")
    for (layer, aspect), seconds in rows.items():
        case = ElementTree.SubElement(
            suite, "testcase", classname=_xml(layer), name=_xml(aspect), time=f"{seconds:.3f}"
        )
        mine = [f for f in report.findings if (f.layer, f.aspect) == (layer, aspect)]
        if (layer, aspect) in worse:
            bad = [f for f in mine if f.change is Change.WORSE]
            failure = ElementTree.SubElement(case, "failure", message=_xml("; ".join(map(str, bad))), type="worse")
            failure.text = _xml("\n\n".join(f"{f}\n{f.text}".strip() for f in bad))
        elif (layer, aspect) in known:
            ElementTree.SubElement(case, "skipped", message=_xml("known: " + "; ".join(map(str, mine))))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """Without the characters that XML cannot hold, not even escaped."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "\N{REPLACEMENT CHARACTER}", text)


def github_annotations(report: Report) -> Iterator[str]:
    """A GitHub workflow command for everything that got worse, at the layer's source where that is known."""
    for finding in report.of(Change.WORSE):
        place = report.places.get(finding.layer)
        properties = {"file": place[0], "line": str(place[1])} if place else {}
        properties["title"] = f"{finding.layer}: {finding.aspect}"
        shown = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        message = _message("\n".join([str(finding), *finding.text.splitlines()]))
        yield f"::error {shown}::{message}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def markdown(report: Report) -> str:
    """A summary for a pull request: a table of what got worse, then the details, then the rest."""
    lines = [f"## gradjury gate: {'passed' if report.passed else 'failed'}", "", _cell(report.headline), ""]
    worse = report.of(Change.WORSE)
    if worse:
        lines += ["| layer | law | what | then | now |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(map(_cell, (f.layer, f.aspect, f.what, f.then, f.now)))} |" for f in worse]
    for finding in (f for f in worse if f.text):
        title = f"<summary>{_cell(f'{finding.layer}: {finding.aspect}')}</summary>"
        fence = "`" * (3 + max((len(run) for run in re.findall("`+", finding.text)), default=0))
        lines += ["", "<details>", title, "", fence, finding.text, fence, "", "</details>"]
    for change in (Change.KNOWN, Change.BETTER, Change.NEW):
        if found := report.of(change):
            lines += ["", f"**{TITLES[change]}**", ""]
            lines += [f"- {_cell(str(finding))}" for finding in found]
    lines += ["", *(f"{_cell(note)}\n" for note in report.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    """Text that Markdown and HTML leave alone, on one line."""
    plain = re.sub(r"([\\`*_{}\[\]|~#])", r"\\\1", html.escape(text, quote=False))
    return " ".join(plain.split())
