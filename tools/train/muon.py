"""Muon: momentum whose update is made orthogonal, for the matrices inside the blocks.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the step scaled to the size of an AdamW step
as in Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982, section 2.2). Convolutions are taken as matrices [out, in
times kernel]; matrices of one shape are handled in one batch.
"""

from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz step."""
ITERATIONS = 5
ADAM_SIZE = 0.2
"""Root mean square of the update of one element, about that of AdamW."""


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """[count, rows, columns] with singular values pushed to near 1; no row and column counts are preferred."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, with decoupled weight decay; every parameter must have at least two dimensions."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[tuple[torch.Tensor, torch.Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(momentum, group["momentum"]).flatten(1)
                by_shape.setdefault(tuple(ahead.shape), []).append((parameter, ahead))
            for (rows, columns), members in by_shape.items():
                updates = orthogonalised(torch.stack([ahead for _, ahead in members]))
                size = ADAM_SIZE * max(rows, columns) ** 0.5
                for (parameter, _), update in zip(members, updates):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(group["lr"] * size * update.reshape(parameter.shape))
