"""Muon: orthogonal steps, every kind of weight, and which weights it serves."""

import pytest
import torch
from torch import nn

from lga.optimizers import Muon, build_optimizers, is_matrix, orthogonalized


@pytest.mark.parametrize("shape", [(1, 5, 9), (1, 9, 5), (3, 6, 6), (4, 8, 2)])
def test_orthogonalized_matrices_keep_directions_and_lose_lengths(shape):
    matrices = torch.randn(*shape, dtype=torch.float64)
    U, _, Vh = torch.linalg.svd(matrices, full_matrices=False)
    found = U.mT @ orthogonalized(matrices) @ Vh.mT
    lengths = found.diagonal(dim1=-2, dim2=-1)
    off = found - torch.diag_embed(lengths)
    assert off.abs().max() < 1e-8
    # The iteration brings singular values near 1, not to it; tiny ones take more than five steps.
    assert lengths.max() < 1.25 and lengths.min() > 0 and lengths.median() > 0.65


@pytest.mark.parametrize("able", [True, False])
def test_large_matrices_are_orthogonalized_too(able, monkeypatch):
    monkeypatch.setattr("lga.optimizers.faster_in_bf16", lambda device: able)
    matrix = torch.randn(1, 300, 600)
    found = orthogonalized(matrix)
    lengths = torch.linalg.svdvals(found)
    assert lengths.dtype == torch.float32 and lengths.max() < 1.25 and lengths.min() > 0.6
    exact = orthogonalized(matrix.double()).float()
    assert torch.allclose(found, exact, rtol=0, atol=1e-5) != able


def test_weights_of_one_shape_step_together_as_each_would_alone():
    shapes = [(6, 8), (6, 2, 2, 2), (3, 6, 8), (8, 6), (6, 8), (2, 6, 8), (4, 1, 3, 3)]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [nn.Parameter(weight.detach().clone()) for weight in together]
    optimizers = [Muon(together), *(Muon([weight]) for weight in alone)]
    for _ in range(3):
        for one, other in zip(together, alone, strict=True):
            one.grad = other.grad = torch.randn_like(one)
        together[4].grad = alone[4].grad = None  # some weight may have had no part in a step
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_a_convolution_is_the_matrix_of_its_outputs():
    weight = nn.Parameter(torch.zeros(4, 2, 3, 3))
    weight.grad = torch.randn(4, 2, 3, 3)
    Muon([weight], lr=1.0).step()
    expected = -orthogonalized(weight.grad.flatten(1)[None]).view_as(weight)
    torch.testing.assert_close(weight.detach(), expected)


def test_steps_of_tall_matrices_are_longer_and_momentum_looks_ahead():
    weight = nn.Parameter(torch.zeros(8, 2))
    muon = Muon([weight], lr=0.1, momentum=0.5)
    first, second = torch.randn(8, 2), torch.randn(8, 2)
    weight.grad = first
    muon.step()
    torch.testing.assert_close(weight.detach(), -0.1 * 2 * orthogonalized(0.75 * first[None])[0])
    before = weight.detach().clone()
    weight.grad = second
    muon.step()
    momentum = 0.25 * first + 0.5 * second
    ahead = 0.5 * second + 0.5 * momentum
    torch.testing.assert_close(weight.detach() - before, -0.2 * orthogonalized(ahead[None])[0])


def test_matrices_go_to_muon_and_the_rest_to_adam():
    system = nn.Sequential(nn.Conv2d(2, 3, 3), nn.LayerNorm(4), nn.Linear(4, 4))
    system.scale = nn.Parameter(torch.ones(3, 1, 1))
    adam, muon = build_optimizers(system, "muon", 1e-3, 0.02)
    assert {tuple(p.shape) for p in muon.param_groups[0]["params"]} == {(3, 2, 3, 3), (4, 4)}
    assert len(adam.param_groups[0]["params"]) == 5
    assert not is_matrix(system.scale) and is_matrix(system[2].weight)
    assert not is_matrix(torch.empty(1025, 1024)) and is_matrix(torch.empty(1024, 1024))
    assert not is_matrix(torch.empty(8, 2, 0, 2))  # a 1×1 steerable filter has no waves
    (alone,) = build_optimizers(system, "adam", 1e-3, 0.02)
    assert len(alone.param_groups[0]["params"]) == 7
    system[2].trains_by_adam = True
    adam, muon = build_optimizers(system, "muon", 1e-3, 0.02)
    assert len(muon.param_groups[0]["params"]) == 1 and len(adam.param_groups[0]["params"]) == 6
