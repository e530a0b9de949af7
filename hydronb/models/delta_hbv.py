"""The six differentiable HBV models of Feng et al. (2022) as settings of one class.
doi:10.1029/2022WR032404

A network estimates HBV's parameters from attributes and forcing (the paper's g_A); HBV computes
streamflow from them, so that all its fluxes and stores are simulated without being trained.
Departures from the paper: the unit hydrograph sees the runoff of the last days of the warm-up, and
a simulation reads its static parameters on the day before its period, never in it.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hydronb.data.scaling import Scaling
from hydronb.errors import ParameterError, nearest
from hydronb.models import hbv
from hydronb.models.continuous import ContinuousModel, Details
from hydronb.models.kernels.recurrent import recurrence

SPREAD = 0.7
"""Standard deviation among components around the usual values, in logits: components that start
equal stay equal."""


class ForcingLSTM(nn.Module):
    """Linear layer, ReLU, LSTM; dropout on the LSTM's input and recurrent weights, with one mask
    for each forward pass.

    The mask is the same on all days: parameters change from day to day by the weather alone.
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
    """Two layers that see the attributes alone: sufficient for a static model, at a thousandth of
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
    """NN_r, in place of (SM/FC)^BETA: a share of the incoming water between 0 and 1, so that water
    is conserved. The paper gives its inputs only; size, scaling and range are chosen here."""

    def __init__(self, hidden: int = 16):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(
        self, fc: Tensor, beta: Tensor, soil_moisture: Tensor, wetness: Tensor, water: Tensor
    ) -> Tensor:
        """The share of `water` that becomes recharge: `hydronb.models.hbv.Recharge`."""
        inputs = (fc / 1000, beta / 6, soil_moisture / 1000, wetness, torch.log1p(water) / 4)
        return torch.sigmoid(self.layers(torch.stack(inputs, -1))[..., 0])


class DeltaHBV(ContinuousModel):
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
        0.1). Its forcings contain those of `hbv.FORCING`, which HBV takes in their own units.
    components
        Parallel HBVs of equal weight in each basin.
    dynamic
        Parameters with a value for each day. BETAET (the paper's gamma) exists only here.
    recharge
        `hbv`, or `network` for NN_r.
    network
        `lstm`, the paper's g_A (`ForcingLSTM`); `attributes` for static models; `both`: static
        parameters depend on the attributes alone, and the LSTM adds to the dynamic ones. The paper
        reads static parameters from the LSTM too. Variations of its states then disturb them, and a
        short training learns to keep the states constant.
    hidden, dropout, forget_bias
        Of the network.
    initialisation
        `middle`: PyTorch's own; parameters start around the middle of their bounds, as in the
        paper. `typical`: they start at the usual values, spread among components. In the middle of
        the bounds, soils are twice as deep, baseflow is three times as fast and routing takes six
        days.
    dynamic_dropout
        Share of basins, for each dynamic parameter, that use its static value in training.
    warmup_days, target_days
        Of a training sample; a simulation needs as many days of warm-up.
    reading_days
        Of the warm-up, the last days that the network of a dynamic model reads, at most. HBV's
        stores need years of warm-up, which cost little; the memory of the network does not.

    Raises
    ------
    ParameterError
        An unknown dynamic parameter, a missing forcing that HBV needs, dynamic parameters with
        `network="attributes"`, or none with `both`.
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
        if unknown := [name for name in dynamic if name not in hbv.PARAMETERS]:
            raise ParameterError(
                f"unknown dynamic parameter {unknown[0]!r}{nearest(unknown[0], hbv.PARAMETERS)}; "
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
        if missing := [n for n in hbv.FORCING if n not in scaling.forcings]:
            raise ParameterError(
                f"forcings lack {missing[0]!r}; HBV takes {', '.join(hbv.FORCING)}"
            )
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
        self.components, self.dynamic = components, tuple(dynamic)
        self.dynamic_dropout, self.width = dynamic_dropout, components * max(1, len(dynamic))
        self.warmup_days, self.target_days = warmup_days, target_days
        self.reading_days = min(reading_days, warmup_days) if dynamic else 0
        self.names = tuple(n for n in hbv.PARAMETERS if n != "BETAET" or n in dynamic)
        n_static = len(scaling.attributes)
        self.network = (
            AttributeNetwork(n_static, hidden, dropout)
            if network == "attributes"
            else ForcingLSTM(len(scaling.forcings), n_static, hidden, dropout, forget_bias)
        )
        self.attribute_network = (
            AttributeNetwork(n_static, hidden, dropout) if network == "both" else None
        )
        self.head = nn.Linear(
            2 * hidden if network == "both" else hidden,
            len(self.names) * components + len(hbv.ROUTING),
        )
        # the LSTM's half of the states counts for dynamic parameters alone
        if self.attribute_network is not None:
            mask = torch.ones_like(self.head.weight)
            static = [n not in dynamic for n in self.names for _ in range(components)]
            mask[torch.tensor(static + [True] * len(hbv.ROUTING)), :hidden] = 0
            self.register_buffer("head_mask", mask, persistent=False)
        self.recharge = RechargeNetwork() if recharge == "network" else None
        if initialisation == "typical":
            usual = torch.tensor([hbv.PARAMETERS[n].usual_raw for n in self.names])
            each = usual.repeat_interleave(components)
            spread = SPREAD * torch.randn_like(each) if components > 1 else torch.zeros_like(each)
            routing = torch.tensor([p.usual_raw for p in hbv.ROUTING.values()])
            with torch.no_grad():
                self.head.bias.copy_(torch.cat([each + spread, routing]))

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
    ) -> Float[Tensor, "batch target"]:
        """Streamflow, mm/d, of the last `target_days`, from raw forcing and attributes. The stores
        warm up on the days before, without gradient and with all parameters static: those of the
        last of these days.
        """
        days, n = self.target_days, dynamic.shape[1]
        h = self.states(dynamic[:, n - days - self.reading_days :], static, last=days + 1)
        parameters = self.read(h[:, -1])
        with torch.no_grad():
            before, state = self._run(
                dynamic[:, : n - days], self.read(h[:, 0]) if self.dynamic else parameters
            )
        daily = self.read_daily(h[:, -days:])
        if self.training and self.dynamic_dropout:
            daily = {
                name: self._fall_back(values, parameters[name]) for name, values in daily.items()
            }
        runoff, _ = self._run(dynamic[:, n - days :], parameters, daily, state=state)
        return _at_gauge(runoff, parameters, before)

    def states(
        self, dynamic: Tensor, static: Tensor, last: int
    ) -> Float[Tensor, "batch last hidden"]:
        """The network's hidden states of the last `last` days, from raw inputs; one for all days
        where it sees attributes alone. Of two networks the LSTM's come first."""
        dynamic, static = self.standardise(dynamic, static)
        if isinstance(self.network, AttributeNetwork):
            return self.network(static)[:, None]
        h = self.network(dynamic, static, last)
        if self.attribute_network is None:
            return h
        return torch.cat([h, self.attribute_network(static)[:, None].expand(-1, last, -1)], -1)

    def read(self, h: Float[Tensor, "batch hidden"]) -> dict[str, Tensor]:
        """Parameters of HBV by name, (batch, component), and of routing, (batch), within their
        bounds."""
        weight = (
            self.head.weight
            if self.attribute_network is None
            else self.head.weight * self.head_mask
        )
        raw, n = F.linear(h, weight, self.head.bias), len(hbv.ROUTING)
        columns = raw[:, :-n].unflatten(1, (len(self.names), self.components)).unbind(1)
        named = zip((*self.names, *hbv.ROUTING), (*columns, *raw[:, -n:].unbind(1)), strict=True)
        return {name: (hbv.PARAMETERS | hbv.ROUTING)[name].within(column) for name, column in named}

    def read_daily(
        self, h: Float[Tensor, "batch time hidden"]
    ) -> dict[str, Float[Tensor, "batch time component"]]:
        """The dynamic parameters of each day."""
        daily = {}
        for name in self.dynamic:
            start = self.names.index(name) * self.components
            rows = slice(start, start + self.components)
            daily[name] = hbv.PARAMETERS[name].within(
                F.linear(h, self.head.weight[rows], self.head.bias[rows])
            )
        return daily

    def _fall_back(self, daily: Tensor, static: Tensor) -> Tensor:
        falls = torch.rand(len(daily), 1, 1, device=daily.device) < self.dynamic_dropout
        return torch.where(falls, static[:, None], daily)

    def _run(
        self,
        dynamic: Tensor,
        static: Mapping[str, Tensor],
        daily: Mapping[str, Tensor] | None = None,
        *,
        state: Tensor | None = None,
        want: Sequence[str] = hbv.OUTFLOW,
        components: bool = False,
    ) -> tuple[dict[str, Tensor], Tensor]:
        daily = daily or {}
        return hbv.run(
            *hbv.split_forcing(dynamic, self.scaling.forcings),
            {name: static[name].contiguous() for name in self.names if name not in daily},
            daily,
            state=state,
            recharge=self.recharge,
            want=want,
            components=components,
        )

    def simulate_basins(
        self, dynamic: Tensor, static: Tensor, first: int, end: int, details: Details
    ) -> dict[str, Tensor]:
        """Static parameters and routing are those that the network gives on the last day before the
        period, after reading as many days as a training sample has (fewer where there are fewer);
        they also warm the stores up. Dynamic parameters are those of their day."""
        lead = min(first, self.target_days + self.reading_days)
        stop = end if self.dynamic else first
        h = self.states(dynamic[:, first - lead : stop], static, last=stop - first + 1)
        parameters, daily = self.read(h[:, 0]), self.read_daily(h[:, 1:])
        before, state = self._run(dynamic[:, :first], parameters)
        fluxes, _ = self._run(
            dynamic[:, first:end],
            parameters,
            daily,
            state=state,
            want=(*hbv.FLUXES, *hbv.STORES) if details else hbv.OUTFLOW,
            components=details == "components",
        )
        means = {n: v.mean(2) if v.ndim == 3 else v for n, v in fluxes.items() if n in hbv.OUTFLOW}
        out = {"streamflow": _at_gauge(means, parameters, before)}
        return out | fluxes | parameters | daily if details else out


def _at_gauge(
    fluxes: Mapping[str, Tensor], parameters: Mapping[str, Tensor], before: Mapping[str, Tensor]
) -> Tensor:
    return hbv.route(
        hbv.outflow(fluxes),
        parameters["routing_a"],
        parameters["routing_b"],
        before=hbv.outflow(before),
    )
