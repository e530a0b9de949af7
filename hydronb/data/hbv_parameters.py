"""HBV's parameters: names, bounds and units, for the model that is trained (`hydronb.models.hbv`)
and for the hidden one behind synthetic data (`hydronb.data.synthetic.truth_hbv`), which share
nothing else; and the names of the stores and outflows of the first, for tables and pages that need
no model."""

import math
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    """Bounds and unit of a parameter, and the value that it is usually given by hand."""

    low: float
    high: float
    unit: str
    usual: float = math.nan

    def within(self, raw: Any) -> Any:
        """Values within the bounds from a tensor of any real numbers, by a sigmoid."""
        return raw.sigmoid() * (self.high - self.low) + self.low

    @property
    def usual_raw(self) -> float:
        """What `within` turns into the usual value."""
        share = (self.usual - self.low) / (self.high - self.low)
        return math.log(share / (1 - share))


PARAMETERS = {
    "BETA": Parameter(1.0, 6.0, "1", 2.0),
    "FC": Parameter(50.0, 1000.0, "mm", 250.0),
    "K0": Parameter(0.05, 0.9, "1/d", 0.3),
    "K1": Parameter(0.01, 0.5, "1/d", 0.1),
    "K2": Parameter(0.001, 0.2, "1/d", 0.03),
    "LP": Parameter(0.2, 1.0, "1", 0.7),
    "PERC": Parameter(0.0, 10.0, "mm/d", 1.5),
    "UZL": Parameter(0.0, 100.0, "mm", 20.0),
    "TT": Parameter(-2.5, 2.5, "degC", 0.0),
    "CFMAX": Parameter(0.5, 10.0, "mm/degC/d", 3.0),
    "CFR": Parameter(0.0, 0.1, "1", 0.05),
    "CWH": Parameter(0.0, 0.2, "1", 0.1),
    "BETAET": Parameter(0.3, 5.0, "1", 1.0),
}
"""Each component's parameters, with the bounds of Feng et al. (2022). BETAET, the paper's gamma,
may be left out: the exponent is then 1. In the paper it exists only where it varies in time."""

ROUTING = {
    "routing_a": Parameter(0.0, 2.9, "1", 1.4),
    "routing_b": Parameter(0.0, 6.5, "d", 0.5),
}
"""The two parameters of the unit hydrograph, one pair per basin."""

STORES = ("snowpack", "meltwater", "soil_moisture", "upper_zone", "lower_zone")
"""In mm, at the end of the day; the first dimension of a state of `hydronb.models.hbv`."""

OUTFLOW = ("q0", "q1", "q2")
"""The fluxes that leave the stores towards the gauge, mm/d."""
