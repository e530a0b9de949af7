"""HBV's parameters: names, bounds and units, for the model that is trained (`hydronb.models.hbv`)
and for the hidden one behind synthetic data (`hydronb.data.synthetic.truth_hbv`), which share
nothing else."""

from typing import NamedTuple


class Parameter(NamedTuple):
    low: float
    high: float
    unit: str


PARAMETERS = {
    "BETA": Parameter(1.0, 6.0, "1"),
    "FC": Parameter(50.0, 1000.0, "mm"),
    "K0": Parameter(0.05, 0.9, "1/d"),
    "K1": Parameter(0.01, 0.5, "1/d"),
    "K2": Parameter(0.001, 0.2, "1/d"),
    "LP": Parameter(0.2, 1.0, "1"),
    "PERC": Parameter(0.0, 10.0, "mm/d"),
    "UZL": Parameter(0.0, 100.0, "mm"),
    "TT": Parameter(-2.5, 2.5, "degC"),
    "CFMAX": Parameter(0.5, 10.0, "mm/degC/d"),
    "CFR": Parameter(0.0, 0.1, "1"),
    "CWH": Parameter(0.0, 0.2, "1"),
    "BETAET": Parameter(0.3, 5.0, "1"),
}
"""Bounds and unit of each component's parameters (Feng et al. 2022). BETAET, the paper's gamma, may
be left out: the exponent is then 1. In the paper it exists only where it varies in time."""

ROUTING = {"routing_a": Parameter(0.0, 2.9, "1"), "routing_b": Parameter(0.0, 6.5, "d")}
"""Bounds and unit of the unit hydrograph's two parameters, one pair per basin."""
