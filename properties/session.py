"""What a run asks for unless a call says otherwise; pytest's options set it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EXAMPLES = 100
SCRIPTS = Path("gradjury-scripts")
CORPUS = "corpus"  # in the folder of the scripts


@dataclass
class Session:
    """How many examples a law, the seed they are drawn from, and the folder for what is found."""

    examples: int = EXAMPLES
    seed: int = 0
    scripts: Path = SCRIPTS


current = Session()
