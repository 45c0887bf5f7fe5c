"""Contracts of the distances."""

import numpy as np
import torch
from hypothesis import strategies as st

from ...oracle.vjp import Case
from ..contract import Contract
from ..domain import Draft
from ..twins import Function, Module
from ..values import Real, Shape, Spec
from .arithmetic import broadcast_pair

INFINITY = float("inf")


def power(d: Draft) -> float:
    """The option p of the distances of vectors."""
    powers = (2.0, 1.0, 3.0, 1.5, 0.5, 0.0, 2.5, INFINITY, -1.0, -INFINITY, -2.5)
    return d.option("p", st.sampled_from(powers))


def vectors(d: Draft, p: float) -> Shape:
    """A shape of vectors along its last axis that have a distance of this p."""
    shape = d.shape()
    # Of no elements there is neither a largest nor a smallest, nor a negative power.
    return (*shape[:-1], d.size()) if shape[-1:] == (0,) and (p < 0 or p == INFINITY) else shape


def _pairwise_distance(d: Draft) -> dict[str, Spec]:
    x1, x2 = broadcast_pair(d, vectors(d, power(d)))
    # Without eps equal vectors have a distance of 0, and whole numbers their ties.
    d.option("eps", st.sampled_from((1e-6, 0.0, 0.5, 0.0, np.float64(-1.0))))
    d.option("keepdim", st.booleans())
    return {"x1": Real(x1), "x2": Real(x2)}


def _cosine_similarity(d: Draft) -> dict[str, Spec]:
    x1, x2 = broadcast_pair(d, d.shape())
    rank = max(len(x1), len(x2), 1)
    d.option("dim", st.integers(-rank, rank - 1))
    d.option("eps", st.sampled_from((1e-8, 1.0, 1e-8, np.float64(1e-3), 2.0)))
    return {"x1": Real(x1), "x2": Real(x2)}


def _short(case: Case) -> bool:
    """Whether a vector is shorter than eps and not zero, where the gradient is the bound's own either way."""
    dim, eps = case.config.get("dim", 1), case.config.get("eps", 1e-8)
    vectors = np.broadcast_arrays(*np.atleast_1d(case.inputs["x1"], case.inputs["x2"]))
    norms = [np.sqrt(np.square(x.astype(np.float64)).sum(axis=dim)) for x in vectors]
    return any(bool(((norm > 0) & (norm < eps)).any()) for norm in norms)


def _pdist(d: Draft) -> dict[str, Spec]:
    d.option("p", st.sampled_from((2.0, 1.0, INFINITY, 1.5, 3.0, 0.0, 0.5)))
    # Without rows torch's backward ends the process (docs/discrepancies).
    rows = d(st.sampled_from((2, 3, 4, 5, 3, 6, 1)))
    return {"x": Real((rows, d(st.sampled_from((1, 2, 3, 4, 5) * 2 + (0, 17)))))}


PairwiseDistance = Contract("PairwiseDistance", Module(torch.nn.PairwiseDistance), _pairwise_distance)
CosineSimilarity = Contract(
    "CosineSimilarity",
    Module(torch.nn.CosineSimilarity),
    _cosine_similarity,
    conventions={"below eps torch's gradient is that of the norm, which the bound hides": _short},
)
Pdist = Contract("Pdist", Function(torch.nn.functional.pdist, ("x",), {"p": 2.0}), _pdist)
