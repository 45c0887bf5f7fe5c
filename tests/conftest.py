"""Settings for the whole suite; read before NumPy is imported."""

import importlib
import os
import sys
import textwrap

import pytest

# The suite runs a process a core; BLAS threads on top would fight over them.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a module and answers its file; the module is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def module(name, source):
        written.append(name)
        file = tmp_path / f"{name}.py"
        file.write_text(textwrap.dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return file

    yield module
    for name in written:
        sys.modules.pop(name, None)
