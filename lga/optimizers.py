"""The optimisers that `fit` steps: Adam as the papers use it, or Muon with Adam for the rest."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are orthogonalised matrices (Jordan et al., 2024).

    A step is U Vᵀ of the Nesterov momentum U S Vᵀ, by five Newton–Schulz iterations, times
    √max(1, rows / columns). Weights of two axes are matrices, of three a stack of them (one per
    frequency), of four a convolution, whose matrix is (channels out, the rest).
    `torch.optim.Muon` takes matrices only.

    Args:
        params: weights of two to four axes.
        lr: length of a step, in root mean square singular values.
        momentum: share of the past that a step keeps.
    """

    def __init__(self, params, lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(state["momentum"], group["momentum"])
                matrices = ahead.flatten(1) if weight.ndim == 4 else ahead
                rows, columns = matrices.shape[-2:]
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                weight.add_(orthogonalized(matrices).view_as(weight), alpha=-length)


# In numbers. Orthogonalising costs more than the training step: of large matrices in float32, of
# huge ones in any precision.
LARGE_MATRIX = 2**17
HUGE_MATRIX = 2**20


def orthogonalized(matrices: Tensor) -> Tensor:
    """About U Vᵀ of matrices U S Vᵀ, (…, m, n): singular values end within 0.7 and 1.2.

    Five steps of the quintic Newton–Schulz iteration with the coefficients of Jordan et al.; in
    bfloat16, as theirs, for large matrices.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    X = matrices.mT if tall else matrices
    if X.dtype == torch.float32 and X.numel() > LARGE_MATRIX:
        X = X.bfloat16()
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = X @ X.mT
        X = 3.4445 * X + (-4.7750 * gram + 2.0315 * gram @ gram) @ X
    return (X.mT if tall else X).to(matrices.dtype)


def is_matrix(weight: Tensor) -> bool:
    """Whether Muon serves a weight: two of its axes are longer than 1, and it is not huge."""
    return sum(length > 1 for length in weight.shape) > 1 and weight.numel() <= HUGE_MATRIX


def build_optimizers(
    system: nn.Module, name: str, learning_rate: float, muon_learning_rate: float
) -> list[torch.optim.Optimizer]:
    """The optimisers that step together.

    Args:
        system: modules with a true `trains_by_adam` leave all their weights to Adam.
        name: "adam", or "muon" for Muon on matrices (see `is_matrix`) and Adam on the rest.
        learning_rate: of Adam.
        muon_learning_rate: of Muon.
    """
    weights = [weight for weight in system.parameters() if weight.requires_grad]
    modules = (m for m in system.modules() if getattr(m, "trains_by_adam", False))
    left = {id(weight) for module in modules for weight in module.parameters()}
    matrices = [
        weight
        for weight in weights
        if name == "muon" and is_matrix(weight) and id(weight) not in left
    ]
    taken = set(map(id, matrices))
    rest = [weight for weight in weights if id(weight) not in taken]
    optimizers: list[torch.optim.Optimizer] = []
    if rest:
        optimizers.append(torch.optim.Adam(rest, lr=learning_rate))
    if matrices:
        optimizers.append(Muon(matrices, lr=muon_learning_rate))
    return optimizers


def optimizer_state(optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Every moment and step count, named `optimizer.weight.moment` by index."""
    return {
        f"{k}.{index}.{key}": value
        for k, optimizer in enumerate(optimizers)
        for index, part in optimizer.state_dict()["state"].items()
        for key, value in part.items()
    }


def load_optimizer_state(
    optimizers: list[torch.optim.Optimizer], tensors: dict[str, Tensor]
) -> None:
    """Puts back what `optimizer_state` took."""
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for name, value in tensors.items():
        k, index, key = name.split(".")
        states[int(k)].setdefault(int(index), {})[key] = value
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
