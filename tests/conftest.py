"""Shared settings and data of the tests."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

import lga

settings.register_profile("untimed", deadline=None, max_examples=25)
settings.load_profile("untimed")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def digits():
    """Rotated MNIST's stand-in."""
    return lga.load_dataset("rotated_mnist", "stand-in")
