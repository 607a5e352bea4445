"""What runs the trained models: the interface, and ONNX Runtime behind it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from genrf.errors import CheckpointError, MissingToolError

if TYPE_CHECKING:
    import onnxruntime

    from genrf.generation.bundle import Bundle

Array = NDArray[np.float32]
Tokens = NDArray[np.int64]


class Backend(Protocol):
    """The three trained models as functions of numpy arrays, batch first; B batch, M device slots.

    M may be any number of slots up to the tokens' limit; kind 0 marks an empty slot.
    """

    @property
    def latent_size(self) -> int:
        """Z, the length of the topology generator's latent vector."""
        ...

    def propose(self, specification: Array, latent: Array) -> tuple[Array, Array]:
        """Topology generator: specification (B, D), latent (B, Z) -> logits of kinds (B, 28, 8) and nets (B, 28, 3,
        28)."""
        ...

    def denoise(self, noisy_values: Array, sigma: Array, kinds: Tokens, nets: Tokens, specification: Array) -> Array:
        """Sizing denoiser: noisy values (B, M) at levels (B,), kinds (B, M), nets (B, M, 3), specification (B, D) ->
        (B, M)."""
        ...

    def predict(self, values: Array, kinds: Tokens, nets: Tokens, conditions: Array) -> tuple[Array, Array, Array]:
        """Surrogate: values (B, M), kinds, nets, conditions (B, C) -> mean and log-variance (B, n_metrics),
        standardised, and logit of the chance that the circuit works (B,)."""
        ...


TOPOLOGY_GENERATOR = "topology_generator"
SIZING_DENOISER = "sizing_denoiser"
SURROGATE = "surrogate"


class OnnxBackend:
    """The models of a bundle in ONNX Runtime.

    Args:
        bundle: a verified bundle.
        threads: threads within one operator; by default ONNX Runtime chooses, one a core.
        device: where to run; ``cuda`` fails rather than fall back to the CPU without saying so, and warns of a bundle in int8,
            whose products ONNX Runtime computes on the CPU all the same.

    Raises:
        MissingToolError: if ONNX Runtime or its CUDA provider cannot be loaded.
        CheckpointError: if a model file cannot be read.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, device: Literal["cpu", "cuda"] = "cpu") -> None:
        self._bundle = bundle
        if device == "cuda" and bundle.precision == "int8":
            warnings.warn(
                f"{bundle.folder}: is in int8, which ONNX Runtime computes on the CPU; for device cuda choose a bundle in fp16",
                stacklevel=2,
            )
        self._sessions = {
            name: _session(bundle.path(name), threads, device)
            for name in (TOPOLOGY_GENERATOR, SIZING_DENOISER, SURROGATE)
        }

    @property
    def latent_size(self) -> int:
        """Z, the length of the topology generator's latent vector."""
        return self._bundle.latent_size

    @property
    def providers(self) -> dict[str, list[str]]:
        """Execution providers in use by each model."""
        return {name: session.get_providers() for name, session in self._sessions.items()}

    def propose(self, specification: Array, latent: Array) -> tuple[Array, Array]:
        """See `Backend.propose`."""
        kind_logits, net_logits = self._run(TOPOLOGY_GENERATOR, specification=specification, latent=latent)
        return kind_logits, net_logits

    def denoise(self, noisy_values: Array, sigma: Array, kinds: Tokens, nets: Tokens, specification: Array) -> Array:
        """See `Backend.denoise`."""
        (denoised,) = self._run(
            SIZING_DENOISER, noisy_values=noisy_values, sigma=sigma, kinds=kinds, nets=nets, specification=specification
        )
        return denoised

    def predict(self, values: Array, kinds: Tokens, nets: Tokens, conditions: Array) -> tuple[Array, Array, Array]:
        """See `Backend.predict`."""
        mean, log_variance, feasible = self._run(
            SURROGATE, values=values, kinds=kinds, nets=nets, conditions=conditions
        )
        return mean, log_variance, feasible

    def _run(self, name: str, **inputs: NDArray[np.generic]) -> list[Array]:
        outputs: list[Array] = self._sessions[name].run(None, inputs)
        return outputs


def _session(path: str, threads: int | None, device: str) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingToolError("onnxruntime is not installed; install it with: pip install onnxruntime-gpu") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.inter_op_num_threads = 1
    # Threads that wait by spinning would take a core from the simulators.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        onnxruntime.preload_dlls()
        providers.insert(0, "CUDAExecutionProvider")
    try:
        session = onnxruntime.InferenceSession(path, sess_options=options, providers=providers)
    except Exception as error:  # onnxruntime's own exception types are not public
        raise CheckpointError(
            f"{path}: ONNX Runtime cannot load it ({str(error).splitlines()[0]}); export the models again"
        ) from error
    # The CUDA provider is listed as available even where its libraries cannot be loaded.
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise MissingToolError(
            "device cuda: ONNX Runtime could not load its CUDA provider; use device cpu or install CUDA 13 with cuDNN 9"
        )
    return session
