"""The comparison with other checks runs, on one layer and few faults."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_comparison_runs_as_its_document_says(tmp_path):
    results = tmp_path / "results.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.detection",
        "--layers",
        "Tanh",
        "--sample",
        "3",
        "--json",
        str(results),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 mutants" in done.stdout
    assert json.loads(results.read_text(encoding="utf-8"))
