"""Results on disk, whole or not at all: a run that is killed leaves no half a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


def write_text(file: Path, text: str) -> None:
    """Write a text in UTF-8; what UTF-8 cannot hold, halves of characters in a layer's messages, is escaped."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    temporary.replace(file)


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write data as JSON, with gradjury's version at the top."""
    write_text(file, json.dumps({"gradjury": version("gradjury"), **data}, indent=2) + "\n")
