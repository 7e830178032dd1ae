"""The optimisers that `fit` steps: Adam as the papers use it, or Muon with Adam for the rest."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lga.precision import faster_in_bf16


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
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
            gradients = [weight.grad for weight in weights]
            momenta = [self.state[weight]["momentum"] for weight in weights]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
            for (rows, columns), members in by_shape(ahead).items():
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                stacks = [ahead[k].reshape(-1, rows, columns) for k in members]
                steps = orthogonalized(torch.cat(stacks)).split([len(stack) for stack in stacks])
                for k, step in zip(members, steps, strict=True):
                    step = step.view_as(weights[k])
                    if isinstance(length, Tensor):  # on the device, where a graph reads it
                        weights[k].sub_(length * step)
                    else:
                        weights[k].add_(step, alpha=-length)


def by_shape(tensors: Sequence[Tensor]) -> dict[tuple[int, int], list[int]]:
    """The shape (rows, columns) that tensors have as matrices, with the places of those that do.

    What has one shape is orthogonalised at once: small matrices are bound by launches on a GPU, and
    nearly so on a CPU.
    """
    found: dict[tuple[int, int], list[int]] = {}
    for k, tensor in enumerate(tensors):
        rows, columns = tensor.shape[-2:] if tensor.ndim < 4 else (len(tensor), tensor[0].numel())
        found.setdefault((rows, columns), []).append(k)
    return found


# In numbers. Orthogonalising costs more than the training step: of large matrices in float32, of
# huge ones in any precision.
LARGE_MATRIX = 2**17
HUGE_MATRIX = 2**20


def orthogonalized(matrices: Tensor) -> Tensor:
    """About U Vᵀ of matrices U S Vᵀ, (k, m, n): singular values end within 0.7 and 1.2.

    Five steps of the quintic Newton–Schulz iteration with the coefficients of Jordan et al.; in
    bfloat16, as theirs, for large matrices where the device is faster in it.
    """
    rows, columns = matrices.shape[1:]
    X = matrices.mT if rows > columns else matrices
    large = rows * columns > LARGE_MATRIX and X.dtype == torch.float32
    if large and faster_in_bf16(X.device.type):
        X = X.bfloat16()
    X = X / (X.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = X @ X.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        X = torch.baddbmm(X, polynomial, X, beta=3.4445)
    return (X.mT if rows > columns else X).to(matrices.dtype)


def is_matrix(weight: Tensor) -> bool:
    """Whether Muon serves a weight: two axes longer than 1, neither empty nor huge."""
    return sum(length > 1 for length in weight.shape) > 1 and 0 < weight.numel() <= HUGE_MATRIX


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
        # One launch for all weights, which a graph can hold.
        on_gpu = rest[0].device.type == "cuda"
        adam = torch.optim.Adam(rest, lr=learning_rate, fused=on_gpu or None, capturable=on_gpu)
        optimizers.append(adam)
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
