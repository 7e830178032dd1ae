"""PyTorch Hub: trained systems without a clone of one's own.

torch.hub.load("OWNER/lga", "lga", "rotated_mnist/jin2024").transform(x, g)
"""

dependencies = [
    "torch",
    "torchvision",
    "lightning",
    "numpy",
    "pandas",
    "safetensors",
    "scipy",
    "skimage",
]


def lga(run: str, profile: str = "standard", seed: int = 0):
    """A trained system in evaluation mode (see `lga.load`): "dataset/system"."""
    from lga import load

    return load(run, profile, seed)
