"""Muon's update is orthogonal, and it learns; convolutions count as matrices."""

import torch
from torch import nn

from tools.train.loop import Plan, optimizers_of
from tools.train.muon import Muon, orthogonalised


def test_singular_values_of_the_update_are_near_one():
    torch.manual_seed(1)
    for shape in ((3, 8, 40), (3, 40, 8), (2, 16, 16)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
        assert values.min() > 0.3 and values.max() < 1.3


def test_directions_of_the_update_are_those_of_the_gradient():
    torch.manual_seed(2)
    gradient = torch.randn(1, 6, 20)
    left, _, right = torch.linalg.svd(gradient[0], full_matrices=False)
    exact = left @ right
    found = orthogonalised(gradient)[0]
    assert float((found * exact).sum() / (found.norm() * exact.norm())) > 0.97


def test_it_solves_a_least_squares_problem_of_a_convolution():
    torch.manual_seed(3)
    convolution, truth = nn.Conv1d(4, 6, 3, bias=False), nn.Conv1d(4, 6, 3, bias=False)
    optimizer = Muon([convolution.weight], lr=0.02)
    data = torch.randn(8, 4, 50)
    first = last = None
    for _ in range(200):
        optimizer.zero_grad()
        loss = (convolution(data) - truth(data).detach()).square().mean()
        loss.backward()
        optimizer.step()
        last = float(loss.detach())
        first = first or last
    assert last < 0.05 * first


def test_it_takes_only_matrices_inside_the_blocks():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.blocks = nn.Linear(4, 4), nn.ModuleList([nn.Linear(4, 4)])

    network = Network()
    adam, muon = optimizers_of(network, Plan(1, 10, 1, 1.0, muon=True))
    assert [p is network.blocks[0].weight for p in muon.param_groups[0]["params"]] == [True]
    assert len(adam.param_groups[0]["params"]) == 3
    assert len(optimizers_of(network, Plan(1, 10, 1, 1.0))) == 1
