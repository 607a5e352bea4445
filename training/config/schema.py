"""The one configuration as dataclasses: what every field of `params.yaml` means and which values it may have.

`training.config.loading` reads it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, overload

from genrf import classes
from genrf.errors import InvalidInputError
from training.config.plain_data import Absent, build

PerClass = int | dict[str, int]
"""A count for every circuit class, or ``default`` and the classes that differ: some take 100 times as long to simulate."""
PerClassNumber = float | dict[str, float]
"""The same of numbers that are no counts."""


@overload
def per_class(values: PerClass, circuit_class: str) -> int: ...
@overload
def per_class(values: PerClassNumber, circuit_class: str) -> float: ...
def per_class(values: PerClass | PerClassNumber, circuit_class: str) -> int | float:
    """The count or number of one class."""
    return values.get(circuit_class, values["default"]) if isinstance(values, dict) else values


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """What is simulated."""

    shards: int
    """Islands that are simulated independently of each other."""
    rounds: int
    """Rounds an island: the first random, the others bred from the best so far."""
    circuits_per_round: PerClass
    """Circuits that an island simulates in each round."""
    chunk: int
    """Circuits that are written at once; what a kill can lose."""
    random_share: float
    """Share of circuits in later rounds that are still drawn at random."""
    elite_per_band: int
    """Best circuits of each frequency band that the next round breeds from."""
    frequency_min_hz: float
    frequency_max_hz: float
    frequency_bands: int
    """Bands, equal in octaves, in which the best are kept apart."""
    supplies_v: tuple[float, ...]
    """Supply voltages to draw from, in V."""
    workers: int
    """Simulator processes of a shard; 0 is one a core. On a cluster it has as many as the cores that it asked for."""

    def __post_init__(self) -> None:
        _at_least("data", self, 1, "shards", "rounds", "chunk", "elite_per_band")
        _counts("data", self, "circuits_per_round")
        _at_least("data", self, 1, "frequency_bands")
        _at_least("data", self, 0, "workers")
        _share("data", self, "random_share")
        _positive("data", self, "frequency_min_hz")
        if self.frequency_max_hz <= self.frequency_min_hz:
            _refuse("data", self, "frequency_max_hz", f"more than frequency_min_hz, which is {self.frequency_min_hz:g}")
        if not self.supplies_v or min(self.supplies_v) <= 0:
            _refuse("data", self, "supplies_v", "at least one voltage, all above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparationConfig:
    """How rows are split, and which specifications are held out."""

    test_share: float
    """Share of topologies that are kept for testing."""
    validation_share: float
    """Share of topologies on which training is stopped early."""
    levels: tuple[str, ...]
    """Levels of held-out specifications."""
    specifications_per_level: PerClass
    """Held-out specifications of each level."""
    precedents: PerClass
    """Useful training circuits, at most, that a generator keeps to start searches from."""

    def __post_init__(self) -> None:
        _share("preparation", self, "test_share", "validation_share")
        _counts("preparation", self, "specifications_per_level", "precedents")
        if self.test_share + self.validation_share >= 1:
            _refuse("preparation", self, "test_share", "less than 1 together with validation_share")
        if not self.levels:
            _refuse("preparation", self, "levels", "at least one level")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """What the training of every model shares."""

    section: ClassVar[str] = "training"

    width: int
    """Width of the network's hidden layers."""
    batch_size: int
    max_steps: int
    """Optimizer steps at most."""
    learning_rate: float
    """Peak learning rate of AdamW."""
    weight_decay: float
    gradient_clip: float
    """Largest norm of a gradient; 0 does not clip."""
    ema_decay: float
    """Decay a step of the moving average of the weights, which is what is evaluated and exported."""
    validate_every: int
    """Steps between validations, each of which writes a checkpoint."""
    early_stopping_patience: int
    """Validations without improvement after which training stops."""
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"]
    """Arithmetic of the training steps. ``auto`` is fp32 on a CPU; on a GPU it is bf16 for the sizing model and tf32 (32 bits,
    matrix products with 10 of their 23) for the others."""
    compile: Literal["auto", "off", "graphs"]
    """Whether the network is compiled for the training steps, which takes a minute or two first: ``auto`` on a GPU only,
    ``graphs`` with CUDA graphs as well. The GAN, whose steps are many small ones, never is."""
    max_minutes: float | None
    """Minutes at most, or null. The learning rate follows whichever limit is nearer, steps or minutes; how many steps fit
    depends on the machine."""
    devices: int
    """Processes with a GPU (or a share of the CPU) each; more than one trains with DDP."""

    def __post_init__(self) -> None:
        section = self.section
        _at_least(section, self, 1, "width", "batch_size", "max_steps", "validate_every", "devices")
        _at_least(section, self, 1, "early_stopping_patience")
        _at_least(section, self, 0, "weight_decay", "gradient_clip")
        _positive(section, self, "learning_rate")
        if self.max_minutes is not None:
            _positive(section, self, "max_minutes")
        if not 0 <= self.ema_decay < 1:
            _refuse(section, self, "ema_decay", "at least 0 and below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TopologyGANConfig(TrainingConfig):
    """The Cycle-GAN between specifications and topologies."""

    section: ClassVar[str] = "topology_gan"

    critic_width: int
    """Width of the critics; the encoder has twice that."""
    code_size: int
    """Length of the part of the latent that the cycle carries."""
    temperature: PerClassNumber
    """Temperature of the distribution that a topology's parts are drawn from; lower is more often legal and less varied."""

    def __post_init__(self) -> None:
        # A dataclass with slots is a new class, which super() without arguments does not know.
        TrainingConfig.__post_init__(self)
        _at_least(self.section, self, 1, "critic_width", "code_size")
        _numbers(self.section, self, "temperature")


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerConfig(TrainingConfig):
    """What the two models on the set transformer share."""

    layers: int
    heads: int
    """Attention heads; divides the width."""
    dropout: float
    """Share of the hidden numbers that a training step leaves out."""

    def __post_init__(self) -> None:
        TrainingConfig.__post_init__(self)
        _at_least(self.section, self, 1, "layers", "heads")
        if not 0 <= self.dropout < 1:
            _refuse(self.section, self, "dropout", "at least 0 and below 1")
        if self.width % self.heads:
            _refuse(self.section, self, "heads", f"a divisor of width, which is {self.width}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SizingDiffusionConfig(TransformerConfig):
    """The conditional diffusion model of device values."""

    section: ClassVar[str] = "sizing_diffusion"

    sampling_steps: int
    """Evaluations of the denoiser when values are drawn."""
    guidance: float
    """Weight of the specification in sampling; 1 is plain conditioning."""

    def __post_init__(self) -> None:
        TransformerConfig.__post_init__(self)
        _at_least(self.section, self, 2, "sampling_steps")
        _at_least(self.section, self, 0, "guidance")


@dataclass(frozen=True, kw_only=True, slots=True)
class SurrogateConfig(TransformerConfig):
    """The model that predicts metrics, to rank candidates before they are simulated."""

    section: ClassVar[str] = "surrogate"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """How the generator and its baselines are judged."""

    calls: PerClass
    """SPICE calls a specification that every method may spend."""
    topologies: PerClass
    """Topologies drawn to judge the generator's own quality."""
    bootstrap_samples: int
    """Resamplings of the specifications for confidence intervals."""

    def __post_init__(self) -> None:
        _at_least("evaluation", self, 1, "bootstrap_samples")
        _counts("evaluation", self, "calls", "topologies")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """Export to ONNX."""

    parity_batch_sizes: tuple[int, ...]
    """Batch sizes at which ONNX Runtime must agree with PyTorch."""
    parity_tolerance: float
    """Largest relative L2 error of any output."""

    def __post_init__(self) -> None:
        if not self.parity_batch_sizes or min(self.parity_batch_sizes) < 1:
            _refuse("export", self, "parity_batch_sizes", "at least one batch size, all above 0")
        _positive("export", self, "parity_tolerance")


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantisationConfig:
    """Smaller models, kept only if they still design circuits."""

    specifications: int
    """Held-out specifications of the exact level on which a quantized generator is tried."""
    max_success_drop: float
    """How far success@K may fall below that of the fp32 bundle, as a share of the specifications."""

    def __post_init__(self) -> None:
        _at_least("quantization", self, 1, "specifications")
        _share("quantization", self, "max_success_drop")


_LONGEST_DAYS = 3_650
"""Days that a night looks back at most: calendars end somewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NightsConfig:
    """When a night trains, on what, and what it takes to be promoted."""

    policy: Literal["need", "always"]
    """``need`` trains where requests are missed and promotes what is shown to be better; ``always`` trains every night, on what
    was met too, and promotes whatever comes out: to be compared with."""
    window_days: int
    """Days of requests that are looked at."""
    least_requests: int
    """Requests of a class below which nothing is concluded about it."""
    expected_success: float
    """Share of requests that a class should meet, where nothing is known of what its champion achieved on held-out ones."""
    need_level: float
    """Probability with which a night works on a class though it meets requests as it was promised to."""
    drift_distance: float
    """Kolmogorov and Smirnov's distance between requests and training circuits from which on a quantity has moved."""
    drift_level: float
    """Probability with which any quantity of a class is said to have moved though none has."""
    targets: int
    """Missed requests of a class that are searched for, and whose circuits join the dataset."""
    target_calls: PerClass
    """SPICE calls for each of them."""
    islands: int
    """New islands of a class, bred around what was missed."""
    rounds: int
    """Rounds of an island."""
    circuits_per_round: PerClass
    """Circuits that an island simulates in each round."""
    largest_failed_share: float
    """Share of failed circuits above which new data are refused."""
    largest_repeated_share: float
    """Share of circuits that the dataset has already above which new data are refused."""
    judged: int
    """Requests of a class on which champion and challenger are compared, at most; none that was searched for."""
    false_promotions: float
    """Probability with which any challenger that is no better is promoted within a month."""
    month_nights: int
    """Nights of a month."""
    patience_nights: int
    """Nights on which a challenger is judged before it is rejected for want of evidence."""
    class_fall: float
    """Most by which the share of specifications met may fall in any class."""

    def __post_init__(self) -> None:
        _at_least(
            "nights", self, 1, "window_days", "least_requests", "rounds", "judged", "month_nights", "patience_nights"
        )
        _at_least("nights", self, 0, "targets", "islands")
        _counts("nights", self, "target_calls", "circuits_per_round")
        _share("nights", self, "expected_success", "drift_distance", "class_fall")
        _share("nights", self, "largest_failed_share", "largest_repeated_share")
        for name in ("window_days", "month_nights"):
            if getattr(self, name) > _LONGEST_DAYS:
                _refuse("nights", self, name, f"at most {_LONGEST_DAYS:,}")
        for name in ("need_level", "drift_level", "false_promotions"):
            if not 0.0 < getattr(self, name) < 1.0:
                _refuse("nights", self, name, "a probability above 0 and below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingConfig:
    """Where runs are recorded."""

    experiment: str
    """MLflow experiment, and the project in Weights & Biases."""
    tracking_uri: str
    """MLflow store, or "off" to record nothing; the environment variable MLFLOW_TRACKING_URI wins."""
    registered_model: str
    """Name in the model registry; champion and challenger are its aliases."""
    wandb: Literal["off", "offline", "online"]
    """Whether runs are recorded in Weights & Biases too."""

    def __post_init__(self) -> None:
        for name in ("experiment", "tracking_uri", "registered_model"):
            if not getattr(self, name):
                _refuse("tracking", self, name, "some text")


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything that a run depends on, besides code and versions."""

    recipe: str
    """Name under which the values were chosen; has no effect of its own."""
    seed: int
    """The one seed from which all randomness comes."""
    technology: str
    """Process that circuits are simulated on."""
    classes: tuple[str, ...]
    """Circuit classes that are simulated and learnt."""
    data: DataConfig
    preparation: PreparationConfig
    topology_gan: TopologyGANConfig
    sizing_diffusion: SizingDiffusionConfig
    surrogate: SurrogateConfig
    evaluation: EvaluationConfig
    export: ExportConfig
    quantization: QuantisationConfig
    nights: NightsConfig
    tracking: TrackingConfig

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InvalidInputError(f"seed: expected at least 0, got {self.seed!r}")
        if not self.classes:
            raise InvalidInputError("classes: expected at least one circuit class, got none")

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back to an equal configuration."""
        content = {
            field.name: dataclasses.asdict(value) if field.name in _SECTIONS else value
            for field in dataclasses.fields(self)
            if not isinstance(value := getattr(self, field.name), Absent)
        }
        return json.loads(json.dumps(content))

    def select(self, *sections: str) -> str:
        """JSON of the named sections and the values outside sections, for a step that depends on nothing else.

        A step that is given no more than it uses runs again only when what it uses has changed.
        """
        unknown = set(sections) - set(_SECTIONS)
        if unknown:
            raise ValueError(f"unknown sections: {', '.join(sorted(unknown))}")
        content = self.to_dict()
        kept = {name: value for name, value in content.items() if name not in _SECTIONS or name in sections}
        return json.dumps(kept, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Read what `select` wrote. Using a section that was not selected raises."""
        content = json.loads(text)
        absent = {name: Absent(name) for name in _SECTIONS if name not in content}
        return typing.cast(Config, build(cls, {**content, **absent}, ""))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Config:
        """Build a configuration from plain data.

        Raises:
            InvalidInputError: naming the key, for one that is unknown, missing, of another type or out of range.
        """
        return typing.cast(Config, build(cls, content, ""))

    def flat(self, *sections: str) -> dict[str, Any]:
        """``section.field`` to value, of all sections or of those named, with the values outside sections."""
        flat: dict[str, Any] = {}
        for name, value in self.to_dict().items():
            if not isinstance(value, dict):
                flat[name] = value
            elif not sections or name in sections:
                for key, inner in value.items():
                    if isinstance(inner, dict):
                        flat.update({f"{name}.{key}.{circuit_class}": count for circuit_class, count in inner.items()})
                    else:
                        flat[f"{name}.{key}"] = inner
        return flat

    def digest(self, *sections: str) -> str:
        """Identity of the named sections with seed, technology and classes; the recipe's name has no part in it."""
        content = {name: value for name, value in self.flat(*sections).items() if name != "recipe"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


_SECTIONS = tuple(
    name for name, annotation in typing.get_type_hints(Config).items() if dataclasses.is_dataclass(annotation)
)


def _at_least(section: str, config: Any, least: float, *names: str) -> None:
    for name in names:
        if getattr(config, name) < least:
            _refuse(section, config, name, f"at least {least:g}")


def _counts(section: str, config: Any, *names: str) -> None:
    for name in names:
        if isinstance(getattr(config, name), int):
            _at_least(section, config, 1, name)
        else:
            _by_class(section, config, name, lambda count: count >= 1)


def _numbers(section: str, config: Any, *names: str) -> None:
    for name in names:
        if isinstance(getattr(config, name), dict):
            _by_class(section, config, name, lambda number: number > 0)
        else:
            _positive(section, config, name)


def _by_class(section: str, config: Any, name: str, allowed: Callable[[float], bool]) -> None:
    values = getattr(config, name)
    known = {"default", *classes.names()}
    if "default" not in values or not values.keys() <= known or not all(map(allowed, values.values())):
        _refuse(section, config, name, f"a number, or numbers for default and any of {', '.join(sorted(known))}")


def _positive(section: str, config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            _refuse(section, config, name, "a number above 0")


def _share(section: str, config: Any, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            _refuse(section, config, name, "a share from 0 to 1")


def _refuse(section: str, config: Any, name: str, expected: str) -> None:
    raise InvalidInputError(f"{section}.{name}: expected {expected}, got {getattr(config, name)!r}")
