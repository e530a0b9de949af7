"""The six differentiable HBV models of Feng et al. (2022) as settings of one class.
doi:10.1029/2022WR032404

A network estimates HBV's parameters from attributes and forcing (the paper's g_A); HBV makes
streamflow of them, so that all its fluxes and stores come along untrained. Departures from the
paper, all of them in the sound direction: the unit hydrograph sees the runoff of the last days of
the warm-up, and a simulation reads its static parameters on the day before its period, never in it.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import trange

from hydronb.data.dataset import COORDINATES, TARGETS
from hydronb.data.hbv_parameters import Parameter
from hydronb.data.scaling import Scaling, require, select_period
from hydronb.errors import DataError, ParameterError, nearest
from hydronb.models import hbv
from hydronb.models.kernels.recurrent import recurrence
from hydronb.models.standardised import Standardised
from hydronb.parameters import Period

PHYSICS = ("prcp", "tmean", "pet")
"""The forcings that HBV itself takes."""

TYPICAL = {
    "BETA": 2.0,
    "FC": 250.0,
    "K0": 0.3,
    "K1": 0.1,
    "K2": 0.03,
    "LP": 0.7,
    "PERC": 1.5,
    "UZL": 20.0,
    "TT": 0.0,
    "CFMAX": 3.0,
    "CFR": 0.05,
    "CWH": 0.1,
    "BETAET": 1.0,
    "routing_a": 1.4,
    "routing_b": 0.5,
}
"""Where `initialisation="typical"` starts: the values that HBV is usually given by hand. The middle
of the bounds, where the paper's network starts, has soils twice as deep, baseflow thrice as fast
and routing of six days."""

SPREAD = 0.7
"""Standard deviation among components around `TYPICAL`, in logits: components that start alike stay
alike."""

ELEMENTS = 2**24
"""Numbers that a simulation holds at once in one array, at most: it takes as many basins at a time
as that allows."""


def log_sqrt(x: Tensor, epsilon: float = 0.0) -> Tensor:
    """log10(sqrt(x + epsilon) + 0.1): precipitation of the networks' inputs, and Eq. 2 for
    streamflow."""
    return torch.log10(torch.sqrt(x + epsilon) + 0.1)


class ForcingLSTM(nn.Module):
    """Linear layer, ReLU, LSTM; dropout on the LSTM's input and recurrent weights, one mask a
    forward pass.

    Dropout on weights leaves a sequence whole: parameters that change from day to day do so by the
    weather alone.
    """

    def __init__(
        self, n_dynamic: int, n_static: int, hidden: int, dropout: float, forget_bias: float = 0.0
    ):
        super().__init__()
        self.n_dynamic, self.dropout = n_dynamic, dropout
        self.enter = nn.Linear(n_dynamic + n_static, hidden)
        self.weight = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.recurrent = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(4 * hidden))
        for parameter in (self.weight, self.recurrent, self.bias):
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)
        with torch.no_grad():
            self.bias[hidden : 2 * hidden] += forget_bias

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        last: int,
    ) -> Float[Tensor, "batch last hidden"]:
        """Hidden states of the last `last` days."""
        own, shared = self.enter.weight[:, : self.n_dynamic], self.enter.weight[:, self.n_dynamic :]
        x = F.relu(F.linear(dynamic, own) + F.linear(static, shared, self.enter.bias)[:, None])
        weight, recurrent = (
            F.dropout(w, self.dropout, self.training) for w in (self.weight, self.recurrent)
        )
        h, _ = recurrence(
            x.transpose(0, 1), weight, self.bias.expand(len(x), -1), recurrent, last=last
        )
        return h.transpose(0, 1)


class AttributeNetwork(nn.Module):
    """Two layers that see the attributes alone: all that a static model needs, at a thousandth of
    the cost."""

    def __init__(self, n_static: int, hidden: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_static, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, static: Float[Tensor, "batch static"]) -> Float[Tensor, "batch hidden"]:
        return self.layers(static)


class RechargeNetwork(nn.Module):
    """NN_r, recharge in place of (SM/FC)^BETA: a share of the incoming water between 0 and 1, so
    that no water is made or lost. The paper gives its inputs alone; size, scaling and range are
    ours."""

    def __init__(self, hidden: int = 16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(
        self, fc: Tensor, beta: Tensor, soil_moisture: Tensor, wetness: Tensor, water: Tensor
    ) -> Tensor:
        """The share of `water` that becomes recharge: `hydronb.models.hbv.Recharge`."""
        inputs = (fc / 1000, beta / 6, soil_moisture / 1000, wetness, torch.log1p(water) / 4)
        return torch.sigmoid(self.layers(torch.stack(inputs, -1))[..., 0])


class DeltaHBV(Standardised):
    """HBV whose parameters a network estimates.

    | `components`, `dynamic`, `recharge` | the paper's name |
    | --- | --- |
    | 1, (), hbv | delta_1 |
    | 16, (), hbv | delta_n |
    | 16, (BETA), hbv | delta_n(beta) |
    | 16, (BETAET), hbv | delta_n(gamma) |
    | 16, (BETA, BETAET), hbv | delta_n(gamma, beta) |
    | 16, (), network | delta_n(NN_r) |

    Parameters
    ----------
    scaling
        From the training basins and period, of the network's inputs; `prcp` of log10(sqrt(prcp) +
        0.1). Its forcings hold `prcp`, `tmean` and `pet`, which HBV takes as they are.
    components
        Parallel HBVs of equal weight in each basin.
    dynamic
        Parameters with a value of their own each day. BETAET (the paper's gamma) exists only here.
    recharge
        `hbv`, or `network` for NN_r.
    network
        `lstm`, the paper's g_A (`ForcingLSTM`); `attributes` for static models; `both`, where
        static parameters are of the attributes alone and the LSTM adds to the dynamic ones. The
        paper reads static parameters off the LSTM too: what varies in its states then disturbs
        them, and a short training learns to hold the states still.
    hidden, dropout, forget_bias
        Of the network.
    initialisation
        `middle`: PyTorch's own, parameters start around the middle of their bounds, as in the
        paper. `typical`: at `TYPICAL`, spread among components.
    dynamic_dropout
        Share of basins, for each dynamic parameter, that fall back on its static value while
        training.
    warmup_days, target_days
        Of a training sample; a simulation needs as many days of warm-up.
    reading_days
        Of the warm-up, the last days that the network of a dynamic model reads, at most: HBV's
        stores need years, which cost it little, the network's memory does not.

    Raises
    ------
    ParameterError
        An unknown dynamic parameter, a forcing that HBV needs is not there, dynamic parameters of
        attributes alone.
    """

    def __init__(
        self,
        scaling: Scaling,
        *,
        model: str = "delta_hbv",
        components: int = 16,
        dynamic: Sequence[str] = (),
        recharge: str = "hbv",
        network: str = "lstm",
        hidden: int = 256,
        dropout: float = 0.5,
        forget_bias: float = 0.0,
        initialisation: str = "middle",
        dynamic_dropout: float = 0.0,
        warmup_days: int = 365,
        target_days: int = 365,
        reading_days: int = 365,
    ):
        super().__init__(scaling)
        for name in dynamic:
            if name not in hbv.PARAMETERS:
                raise ParameterError(
                    f"unknown dynamic parameter {name!r}{nearest(name, hbv.PARAMETERS)}; "
                    "the paper's gamma is BETAET, its beta BETA"
                )
        if dynamic and network == "attributes":
            raise ParameterError(
                f"dynamic {', '.join(dynamic)} needs network: lstm or both; attributes do not"
                " change by day"
            )
        if network == "both" and not dynamic:
            raise ParameterError(
                "network: both is for dynamic parameters, and there are none; give attributes"
            )
        if missing := [n for n in PHYSICS if n not in scaling.forcings]:
            raise ParameterError(f"forcings lack {missing[0]!r}; HBV takes {', '.join(PHYSICS)}")
        self.settings = {
            "model": model,
            "components": components,
            "dynamic": list(dynamic),
            "recharge": recharge,
            "network": network,
            "hidden": hidden,
            "dropout": dropout,
            "forget_bias": forget_bias,
            "initialisation": initialisation,
            "dynamic_dropout": dynamic_dropout,
            "warmup_days": warmup_days,
            "target_days": target_days,
            "reading_days": reading_days,
        }
        self.components, self.dynamic, self.dynamic_dropout = (
            components,
            tuple(dynamic),
            dynamic_dropout,
        )
        self.warmup_days, self.target_days = warmup_days, target_days
        self.reading_days = min(reading_days, warmup_days) if dynamic else 0
        self.names = tuple(n for n in hbv.PARAMETERS if n != "BETAET" or n in dynamic)
        self.physics = [list(scaling.forcings).index(n) for n in PHYSICS]
        n_static = len(scaling.attributes)
        self.network = (
            AttributeNetwork(n_static, hidden, dropout)
            if network == "attributes"
            else ForcingLSTM(len(scaling.forcings), n_static, hidden, dropout, forget_bias)
        )
        self.attribute_network = (
            AttributeNetwork(n_static, hidden, dropout) if network == "both" else None
        )
        states = hidden if self.attribute_network is None else 2 * hidden
        self.head = nn.Linear(states, len(self.names) * components + len(hbv.ROUTING))
        # the LSTM's half of the states is for dynamic parameters alone
        if self.attribute_network is not None:
            mask = torch.ones_like(self.head.weight)
            of_attributes = torch.tensor([n not in dynamic for n in self.names]).repeat_interleave(
                components
            )
            mask[: len(of_attributes)][of_attributes, :hidden] = 0
            mask[len(of_attributes) :, :hidden] = 0
            self.register_buffer("head_mask", mask, persistent=False)
        self.recharge = RechargeNetwork() if recharge == "network" else None
        if initialisation == "typical":
            self._start_at_typical()

    def _start_at_typical(self) -> None:
        with torch.no_grad():
            each = torch.tensor([logit(n) for n in self.names]).repeat_interleave(self.components)
            spread = (
                SPREAD * torch.randn_like(each) if self.components > 1 else torch.zeros_like(each)
            )
            self.head.bias.copy_(
                torch.cat([each + spread, torch.tensor([logit(n) for n in hbv.ROUTING])])
            )

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
    ) -> Float[Tensor, "batch target"]:
        """Streamflow, mm/d, of the last `target_days`, from raw forcing and attributes. The days
        before warm the stores up, without gradient and with all parameters static: those of the
        last of these days.
        """
        days, n = self.target_days, dynamic.shape[1]
        h = self.states(dynamic[:, n - days - self.reading_days :], static, last=days + 1)
        parameters, routing = self.read(h[:, -1])
        with torch.no_grad():
            first = self.read(h[:, 0])[0] if self.dynamic else parameters
            before, state = self._run(dynamic[:, : n - days], first)
        daily = self.read_daily(h[:, -days:])
        if self.training and self.dynamic_dropout:
            daily = {
                name: self._fall_back(values, parameters[name]) for name, values in daily.items()
            }
        runoff, _ = self._run(dynamic[:, n - days :], parameters, daily, state=state)
        return hbv.route(total(runoff), *routing, before=total(before))

    def states(
        self, dynamic: Tensor, static: Tensor, last: int
    ) -> Float[Tensor, "batch last hidden"]:
        """The network's hidden states of the last `last` days, from raw inputs; one for all where
        it sees attributes alone. Of two networks the LSTM's stand first."""
        dynamic, static = self.standardise(dynamic, static)
        if isinstance(self.network, AttributeNetwork):
            return self.network(static)[:, None]
        h = self.network(dynamic, static, last)
        if self.attribute_network is None:
            return h
        return torch.cat([h, self.attribute_network(static)[:, None].expand(-1, last, -1)], -1)

    def standardise(self, dynamic: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        """As the networks take them: `prcp` of log10(sqrt(prcp) + 0.1), then all z-scored."""
        return super().standardise(compress_prcp(dynamic, self.scaling), static)

    def read(
        self, h: Float[Tensor, "batch hidden"]
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        """Parameters of HBV by name, (batch, component), and routing's, each (batch), within their
        bounds."""
        weight = (
            self.head.weight
            if self.attribute_network is None
            else self.head.weight * self.head_mask
        )
        raw = F.linear(h, weight, self.head.bias)
        n = len(hbv.ROUTING)
        columns = raw[:, :-n].unflatten(1, (len(self.names), self.components)).unbind(1)
        a, b = (
            within(*pair) for pair in zip(raw[:, -n:].unbind(1), hbv.ROUTING.values(), strict=True)
        )
        return {
            n: within(column, hbv.PARAMETERS[n])
            for n, column in zip(self.names, columns, strict=True)
        }, (a, b)

    def read_daily(
        self, h: Float[Tensor, "batch time hidden"]
    ) -> dict[str, Float[Tensor, "batch time component"]]:
        """The dynamic parameters of each day."""
        daily = {}
        for name in self.dynamic:
            rows = slice(
                self.names.index(name) * self.components,
                (self.names.index(name) + 1) * self.components,
            )
            daily[name] = within(
                F.linear(h, self.head.weight[rows], self.head.bias[rows]), hbv.PARAMETERS[name]
            )
        return daily

    def _fall_back(self, daily: Tensor, static: Tensor) -> Tensor:
        falls = torch.rand(len(daily), 1, 1, device=daily.device) < self.dynamic_dropout
        return torch.where(falls, static[:, None], daily)

    def _run(
        self,
        dynamic: Tensor,
        static: dict[str, Tensor],
        daily: dict[str, Tensor] | None = None,
        *,
        state: Tensor | None = None,
        want: Sequence[str] = ("q0", "q1", "q2"),
    ) -> tuple[dict[str, Tensor], Tensor]:
        daily = daily or {}
        forcing = (dynamic[:, :, k].contiguous() for k in self.physics)
        static = {n: v.contiguous() for n, v in static.items() if n not in daily}
        return hbv.run(*forcing, static, daily, state=state, recharge=self.recharge, want=want)

    def simulate(
        self, ds: xr.Dataset, period: Period, *, progress: bool = True, details: bool = False
    ) -> xr.Dataset:
        """Streamflow on each day of `period`, from stores that have seen all days of `ds` before
        it.

        Nothing of the period is seen before its day: static parameters and routing are those that
        the network gives on the last day before the period, having read as many days as a training
        sample has (fewer where there are fewer); they also warm the stores up. Dynamic parameters
        are those of their day.

        Returns
        -------
        xarray.Dataset
            `streamflow`, and `streamflow_obs` and `et_obs` where `ds` has them, over (basin, time).
            With `details` also the mean over components of all `hbv.FLUXES` (mm/d, not routed) and
            `hbv.STORES` (mm, at the day's end), and parameters: those of HBV over (basin,
            component), with `time` where dynamic, and those of routing over basin.

        Raises
        ------
        DataError
            Forcings or attributes are missing in `ds`, or there are fewer days before the period
            than `warmup_days`.
        """
        dynamic, static, first, end = simulation_tensors(self, ds, period, self.warmup_days)
        size = max(1, ELEMENTS // ((end - first) * self.components * max(1, len(self.dynamic))))
        parts = []
        was_training = self.training
        self.eval()
        with torch.inference_mode():
            for k in trange(
                0, len(dynamic), size, desc="simulate", unit="part", disable=not progress
            ):
                part = (series[k : k + size].to(self.forcings_mean) for series in (dynamic, static))
                parts.append(
                    {n: v.cpu() for n, v in self._simulate(*part, first, end, details).items()}
                )
        self.train(was_training)
        values = {n: torch.cat([part[n] for part in parts]).numpy() for n in parts[0]}
        return describe(values, select_period(ds, period))

    def _simulate(
        self, dynamic: Tensor, static: Tensor, first: int, end: int, details: bool
    ) -> dict[str, Tensor]:
        lead = min(first, self.target_days + self.reading_days)
        stop = end if self.dynamic else first
        h = self.states(dynamic[:, first - lead : stop], static, last=stop - first + 1)
        parameters, routing = self.read(h[:, 0])
        daily = self.read_daily(h[:, 1:])
        before, state = self._run(dynamic[:, :first], parameters)
        want = (*hbv.FLUXES, *hbv.STORES) if details else ("q0", "q1", "q2")
        fluxes, _ = self._run(dynamic[:, first:end], parameters, daily, state=state, want=want)
        streamflow = hbv.route(total(fluxes), *routing, before=total(before))
        if not details:
            return {"streamflow": streamflow}
        routing = dict(zip(hbv.ROUTING, routing, strict=True))
        return {"streamflow": streamflow} | fluxes | parameters | daily | routing


def within(raw: Tensor, bounds: Parameter) -> Tensor:
    """A parameter within its bounds, by a sigmoid."""
    return torch.sigmoid(raw) * (bounds.high - bounds.low) + bounds.low


def logit(name: str) -> float:
    """The raw value of a parameter's `TYPICAL` one: the inverse of `within`."""
    low, high, _ = (hbv.PARAMETERS | hbv.ROUTING)[name]
    share = (TYPICAL[name] - low) / (high - low)
    return math.log(share / (1 - share))


def total(fluxes: dict[str, Tensor]) -> Tensor:
    """What leaves the stores towards the gauge."""
    return fluxes["q0"] + fluxes["q1"] + fluxes["q2"]


def compress_prcp(dynamic: Float[Tensor, "batch time dynamic"], scaling: Scaling) -> Tensor:
    """`log_sqrt` of the forcing `prcp`, the others as they are."""
    names = list(scaling.forcings)
    if "prcp" not in names:
        return dynamic
    dynamic = dynamic.clone()
    dynamic[:, :, names.index("prcp")] = log_sqrt(dynamic[:, :, names.index("prcp")])
    return dynamic


def simulation_tensors(
    model: Standardised,
    ds: xr.Dataset,
    period: Period,
    warmup_days: int,
) -> tuple[Tensor, Tensor, int, int]:
    """Forcing (basin, time, forcing) and attributes (basin, attribute) up to the end of `period`,
    in raw units, and the positions of its first day and of the day after its last.

    Raises
    ------
    DataError
        See `DeltaHBV.simulate`.
    """
    scaling = model.scaling
    require(ds, list(scaling.forcings), "forcing")
    days = select_period(ds, period)
    first = ds.indexes["time"].get_loc(days.indexes["time"][0])
    if first < warmup_days:
        earliest = (
            ""
            if warmup_days >= ds.sizes["time"]
            else (f"start the period on {ds.indexes['time'][warmup_days].date()} or later, or ")
        )
        raise DataError(
            f"the data have {first} days before {period.start}, and warming up takes {warmup_days};"
            f" {earliest}shorten warmup_days"
        )
    end = first + days.sizes["time"]
    dynamic = np.stack([ds[n].values[:, :end] for n in scaling.forcings], -1).astype(np.float32)
    if (bad := ~np.isfinite(dynamic)).any():
        b, t, k = np.argwhere(bad)[0]
        raise DataError(
            f"{list(scaling.forcings)[k]} of basin {ds['basin'].values[b]} is missing on"
            f" {ds.indexes['time'][t].date()} ({int(bad.sum())} values in all); forcing must be"
            " complete"
        )
    return (
        torch.from_numpy(dynamic),
        torch.from_numpy(scaling.static(ds).astype(np.float32)),
        first,
        end,
    )


def describe(values: dict[str, np.ndarray], days: xr.Dataset) -> xr.Dataset:
    """Simulated arrays with the names of their dimensions, units and the catchments' coordinates,
    beside the observed streamflow and evapotranspiration where there are such."""
    units = (
        hbv.FLUXES | dict.fromkeys(hbv.STORES, "mm") | {"streamflow": TARGETS["streamflow"].units}
    )
    units |= {n: p.unit for n, p in (hbv.PARAMETERS | hbv.ROUTING).items()}
    keep = [c for c in (*COORDINATES, "gauge_name") if c in days.coords]
    out = xr.Dataset(coords={c: days[c] for c in ("basin", "time", *keep)})
    for name, array in values.items():
        second = "component" if name in hbv.PARAMETERS else "time"
        dims = {1: ("basin",), 2: ("basin", second), 3: ("basin", "time", "component")}[array.ndim]
        out[name] = (dims, array, {"units": units[name], "long_name": name.replace("_", " ")})
    out["streamflow"].attrs["long_name"] = f"simulated {TARGETS['streamflow'].long_name}"
    return out.assign({f"{name}_obs": days[name] for name in TARGETS if name in days})
