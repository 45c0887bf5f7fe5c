"""A picture of a training beside torch's own."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")  # a file, no window
import matplotlib.pyplot as plt

from gradjury import Lockstep


def draw(result: Lockstep, title: str, path: Path, level: tuple[float, str] | None = None) -> None:
    """The loss of every step, and how far torch's own training has drifted from it; `level` is a line to fall below."""
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(8, 6), height_ratios=(3, 1))
    above.plot(result.losses, label="gradjury", linewidth=3, alpha=0.4)
    above.plot(result.theirs, label="torch, by itself", linewidth=1)
    if level is not None:
        above.axhline(level[0], color="grey", linestyle=":", label=level[1])
    above.set(title=title, ylabel="loss")
    above.legend()
    apart = [abs(a - b) for a, b in zip(result.losses, result.theirs, strict=True)]
    below.semilogy([a or None for a in apart], ".", markersize=2)
    below.set(xlabel="step", ylabel="difference")
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
