"""Contracts of batch and instance normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import strategies as st

from ..contract import Contract
from ..domain import Domain, Draft
from ..twins import Module
from ..values import Index, Positive, Real, Shape, Spec

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def _channel_norm(d: Draft, *, affine: bool, track: bool) -> dict[str, Spec]:
    """The options, and the parameters and statistics that they bring; the arguments are what torch's defaults are."""
    training = d.option("training", st.sampled_from((True, True, False)))
    track = d.option("track_running_stats", st.sampled_from((track, track, not track)))
    # torch's BatchNorm wants eps above zero where it takes a variance, InstanceNorm nowhere.
    d.option("eps", st.sampled_from((1e-5, 1e-3, 0.1, 1e-8) if training or not track else (1e-5, 1e-3, 0.1, 0.0)))
    d.option("momentum", st.sampled_from((0.1, 0.5, None, 1.0, 0.0)))
    affine = d.option("affine", st.sampled_from((affine, True, True, False)))
    bias = d.option("bias", st.sampled_from((True, True, False)))
    channels = d.option("num_features", st.integers(1, 4))
    specs: dict[str, Spec] = {}
    if affine:
        specs["weight"] = Real((channels,))
        if bias:
            specs["bias"] = Real((channels,))
    if track:
        kinds = (Real((channels,), grad=False), Positive((channels,)), Index((), 9))
        specs |= zip(STATISTICS, kinds, strict=True)
    return specs


def _takes_variance(d: Draft) -> bool:
    return bool(d.config.get("training", True) or not d.config.get("track_running_stats", True))


def _cells(d: Draft, rank: int, least: int) -> Shape:
    """A length each axis, `least` cells in all."""
    sizes = [d.size() for _ in range(rank)]
    if all(n == 1 for n in sizes):
        sizes[-1] = least
    return tuple(sizes)


def _batch_norm(rank: int) -> Domain:
    def domain(d: Draft) -> dict[str, Spec]:
        specs = _channel_norm(d, affine=True, track=True)
        channels = d.config["num_features"]
        batch = d(st.sampled_from((1, 2, 3, 4, 8, 2, 3, 0)))
        axes = d(st.sampled_from((0, 1))) if rank == 1 else rank
        cells = _cells(d, axes, 2 if batch == 1 else 1) if axes else ()
        # A single value has no variance, and torch refuses to take it.
        batch = 2 if batch == 1 and not cells else batch
        return {"x": Real((batch, channels, *cells)), **specs}

    return domain


def _instance_norm(rank: int) -> Domain:
    def domain(d: Draft) -> dict[str, Spec]:
        specs = _channel_norm(d, affine=False, track=False)
        batch = d.batch()
        if batch == (0,) and "weight" in specs:
            batch = (2,)  # torch refuses an empty batch where it has a weight
        channels = d.config["num_features"]
        return {"x": Real((*batch, channels, *_cells(d, rank, 2))), **specs}

    return domain


def _changed(default: bool) -> Any:
    """Which statistics a configuration changes; `default` is what torch tracks by default."""

    def state(config: Mapping[str, Any]) -> tuple[str, ...]:
        tracks = config.get("track_running_stats", default) and config.get("training", True)
        return STATISTICS if tracks else ()

    return state


def _batch(rank: int, cls: type[torch.nn.Module]) -> Contract:
    return Contract(cls.__name__, Module(cls, modes=True, state=_changed(True)), _batch_norm(rank))


def _instance(rank: int, cls: type[torch.nn.Module]) -> Contract:
    return Contract(cls.__name__, Module(cls, modes=True, state=_changed(False)), _instance_norm(rank))


BatchNorm1d = _batch(1, torch.nn.BatchNorm1d)
BatchNorm2d = _batch(2, torch.nn.BatchNorm2d)
BatchNorm3d = _batch(3, torch.nn.BatchNorm3d)
InstanceNorm1d = _instance(1, torch.nn.InstanceNorm1d)
InstanceNorm2d = _instance(2, torch.nn.InstanceNorm2d)
InstanceNorm3d = _instance(3, torch.nn.InstanceNorm3d)
