"""Results on disk, whole or not at all: a run that is killed leaves no half a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write data as JSON, with gradjury's version at the top."""
    write_text(file, json.dumps({"gradjury": version("gradjury"), **data}, indent=2) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a text in place of what the file held."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
