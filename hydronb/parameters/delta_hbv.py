"""Parameters of the delta-HBV notebooks (Feng et al., 2022)."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from hydronb.parameters.base import (
    AnalysisParameters,
    Count,
    FitParameters,
    Folds,
    InputPath,
    LossName,
    NotNegative,
    Number,
    Period,
    Positive,
    Seed,
    Share,
    number,
)


class DeltaHBVTrainParameters(FitParameters, Folds, notebook="delta_hbv_01_train"):
    """delta_hbv_01_train. The defaults here are the published settings (Feng et al. 2022, Sect. 2.2
    and its code)."""

    targets: ClassVar[list[str]] = ["streamflow"]
    instead: ClassVar[Mapping[str, str]] = {
        "static": (
            "; what `dynamic` does not name is static; BETAET (the paper's gamma) exists only where"
            " dynamic"
        )
    }
    model: str = "delta_hbv"
    """`runoff_lstm` is the paper's benchmark; `local_hbv` is one HBV per basin,
    calibrated by gradient."""
    components: Count = 16
    dynamic: list[str] = ["BETAET", "BETA"]
    """Parameters with a value per day: BETAET is the paper's gamma, BETA its beta."""
    recharge: Literal["hbv", "network"] = "hbv"
    network: Literal["lstm", "attributes", "both"] = "lstm"
    """What estimates the parameters: the LSTM (the paper's g_A), two layers that see the attributes
    alone, or these for the static parameters and both networks for the dynamic ones."""
    initialisation: Literal["middle", "typical"] = "middle"
    """Where HBV's parameters start: the middle of their bounds, or usual values."""
    forcings: Annotated[list[str], Field(min_length=1)] = ["prcp", "tmean", "pet"]
    """What the network sees."""
    attributes: list[str] | Literal["feng2022", "kratzert2019", "all"] = "feng2022"
    """Names, `feng2022` (the paper's 35), `kratzert2019` (27 of these) or `all`."""
    missing_attributes: Literal["error", "mean"] = "mean"
    train_period: Period = Period(start=dt.date(1981, 10, 1), end=dt.date(1995, 9, 30))
    """Of the targets: the paper's 15 years from 1980-10-01 without the year of warm-up."""
    test_period: Period = Period(start=dt.date(1995, 10, 1), end=dt.date(2010, 9, 30))
    hidden: Count = 256
    dropout: Share = 0.5
    forget_bias: Number = 0.0
    dynamic_dropout: Share = 0.0
    """Share of basins, for each dynamic parameter, that take its static value while training."""
    loss: LossName = "feng2022"
    """Of `delta_hbv`; the loss of `runoff_lstm` is the RMSE of its standardised target, that of
    `local_hbv` 1 - NSE of each basin."""
    low_flow_weight: Annotated[NotNegative, Field(le=1)] = 0.25
    """Of `feng2022`: alpha, the weight of the transformed streamflow."""
    warmup_days: Annotated[int, BeforeValidator(number), Field(ge=0)] = 365
    target_days: Count = 365
    reading_days: Count = 365
    """The last days of the warm-up, which the network of a dynamic model reads."""
    details: Literal["means", "components"] = "means"
    """What is saved of the fluxes and stores of an HBV: means over its components, or also each
    component in `components.nc`, as many times as large."""
    starts: Count = 8
    """Of `local_hbv`: calibrations per basin; the best on the training period is kept."""
    epochs: Count = 50
    samples_per_epoch: Count | None = None
    """If None, as many as the paper takes: enough to draw each day with a probability of 99 %."""
    batch_size: Count = 100
    optimiser: Literal["adam", "adadelta"] = "adadelta"
    learning_rate: Positive | dict[int, Positive] = 1.0
    clip_norm: Positive | None = None
    seed: Seed = 111111

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if self.model == "delta_hbv" and self.warmup_days == 0:
            raise ValueError("warmup_days = 0: the stores of HBV start empty; 365 is the paper's")
        if self.model == "local_hbv" and self.folds:
            raise ValueError(
                "folds: a local HBV is calibrated on each basin's own record, so it knows nothing"
                " of a basin that is left out"
            )


class DeltaHBVBenchmarkParameters(
    AnalysisParameters, notebook="delta_hbv_02_benchmark", takes_runs_of=("delta_hbv_01_train",)
):
    """delta_hbv_02_benchmark."""

    et_path: InputPath | None = None
    """NetCDF with `et` over (basin, time) to compare with; if None, the hidden truth of synthetic
    catchments."""
    hydrographs: Count = 3
    """Number of catchments near the median NSE that are drawn, as in Fig. 3 of the paper."""
    hydrograph_period: Period | None = None
    """Of the hydrographs; if None, the last two years of the test period."""
    benchmark_models: InputPath = InputPath("")
    """Folder of the released benchmark models (`hydronb.data.sources.published`), if any, for
    Fig. 2."""
    scores: list[InputPath] = []
    """Files of published scores (`analysis.published.read_scores`) for Fig. 2."""


class DeltaHBVFluxesParameters(
    AnalysisParameters, notebook="delta_hbv_03_fluxes", takes_runs_of=("delta_hbv_01_train",)
):
    """delta_hbv_03_fluxes."""

    et_path: InputPath | None = None
    nse_above: Number = 0.5
    """Least NSE of the catchments in Fig. 5b, d and f."""
    basin: str | None = None
    """The catchment whose stores and fluxes are drawn; if None, the one of median NSE."""


class DeltaHBVDynamicParameters(
    AnalysisParameters,
    notebook="delta_hbv_04_dynamic_parameters",
    takes_runs_of=("delta_hbv_01_train",),
):
    """delta_hbv_04_dynamic_parameters."""

    basins: list[str] | None = None
    """Catchments that are drawn; if None, the driest, the snowiest and the wettest that the models
    simulate well."""


class DeltaHBVTwinParameters(
    AnalysisParameters, notebook="delta_hbv_05_twin", takes_runs_of=("delta_hbv_01_train",)
):
    """delta_hbv_05_twin: runs on synthetic catchments."""
