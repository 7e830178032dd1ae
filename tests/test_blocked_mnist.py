"""The square: drawn after the turn, the same in both images of a pair, or in neither."""

import pytest
import torch

import lga


@pytest.fixture(scope="module")
def pairs():
    dataset = lga.load_dataset("blocked_mnist", "stand-in")
    return dataset.pairs("train", 600, torch.Generator().manual_seed(0))


def test_the_square_is_white_axis_aligned_and_shared(pairs):
    both = (pairs.x1 == 1) & (pairs.x2 == 1)
    whole = torch.nn.functional.avg_pool2d(both.float(), 7, 1).flatten(1).amax(1) == 1
    assert 0.75 < whole.float().mean() < 0.85
    turned = lga.load_dataset("rotated_mnist", "stand-in")
    plain = turned.pairs("train", 600, torch.Generator().manual_seed(0))
    assert torch.equal(plain.g, pairs.g)  # the same digits and turns, only the square is added
    added = ((pairs.x1 != plain.x1) | (pairs.x2 != plain.x2)).flatten(1).any(1)
    assert not added[~whole].any()
    assert torch.equal(pairs.x1[~whole], plain.x1[~whole])


def test_the_square_lies_anywhere_inside(pairs):
    dataset = lga.load_dataset("blocked_mnist", "stand-in", square_probability=1.0)
    squares = dataset.squares(4000, torch.Generator().manual_seed(0))
    assert (squares.sum((1, 2, 3)) == 49).all()
    assert (squares.sum((0, 1)) > 0).all()  # every pixel is covered by some


def test_square_options():
    dataset = lga.load_dataset("blocked_mnist", "stand-in", square_px=3, square_probability=0.5)
    squares = dataset.squares(1000, torch.Generator().manual_seed(0)).sum((1, 2, 3))
    assert set(squares.tolist()) == {0, 9} and 0.4 < (squares > 0).float().mean() < 0.6


def test_four_of_five_pairs_have_a_square_unless_said():
    dataset = lga.load_dataset("blocked_mnist", "stand-in")
    present = dataset.squares(40_000, torch.Generator().manual_seed(0)).flatten(1).any(1)
    assert abs(float(present.float().mean()) - 0.8) < 0.008  # four standard deviations
