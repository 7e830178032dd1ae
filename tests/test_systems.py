"""Published parameter counts, published losses, learning on one batch."""

import pytest
import torch
import torch.nn.functional as F

import lga
from lga.groups import SO2, SO3, Affine, Cyclic
from lga.networks import MapAutoencoder, MNISTAutoencoder
from lga.runs import parameter_count

PUBLISHED_PARAMETERS = {("jin2024", "rotated_mnist"): 329_433,
                        ("swarnali2025", "rotated_mnist"): 66_753}  # fmt: skip


@pytest.mark.parametrize("cell", PUBLISHED_PARAMETERS, ids="-".join)
def test_published_parameter_counts(cell):
    system, dataset = cell
    built = lga.SYSTEMS[system](lga.DATASETS[dataset].image_shape, lga.DATASETS[dataset].group)
    assert parameter_count(built) == PUBLISHED_PARAMETERS[cell]


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 33, 20), (3, 64, 64), (2, 17, 17)])
def test_mnist_network_adapts_to_the_image(shape):
    network = MNISTAutoencoder(shape)
    x = torch.rand(2, *shape)
    z = network.encode(x)
    assert z.shape == (2, *network.latent_shape)
    assert network.decode(z).shape == x.shape


def test_map_network_keeps_images_in_range_and_refuses_odd_sides():
    network = MapAutoencoder((3, 32, 24))
    z = network.encode(torch.rand(2, 3, 32, 24))
    assert z.shape == (2, 64, 8, 6)
    painted = network.decode(50 * z)
    assert painted.min() >= 0 and painted.max() <= 1 and painted.shape == (2, 3, 32, 24)
    with pytest.raises(ValueError, match="divisible by 4"):
        MapAutoencoder((1, 30, 28))


@pytest.mark.parametrize("options", [{}, {"turns": 4}], ids=["any-angle", "quarter-turns"])
@pytest.mark.parametrize("name", lga.SYSTEMS)
def test_loss_falls_on_one_batch(name, options):
    dataset = lga.load_dataset("rotated_mnist", "stand-in", **options)
    system = lga.build_system(name, dataset)
    batch = dataset.pairs("train", 16, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(system.parameters(), lr=2e-3)
    losses = []
    for _ in range(30):
        terms = system.loss(batch)
        loss = sum(terms.values())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in system.parameters())
        optimizer.step()
        losses.append(float(terms["pixel"].detach()))
    assert losses[-1] < 0.6 * losses[0]


def test_jin2024_loss_is_the_published_sum(digits):
    system = lga.build_system("jin2024", digits, latent_inverse_weight=0.5)
    pairs = digits.pairs("train", 8, torch.Generator().manual_seed(0))
    E, D, act = system.encode, system.decode, system.act
    forth, back = act(pairs.g, E(pairs.x1)), act(pairs.g.mT, E(pairs.x2))
    terms = system.loss(pairs)
    expected = F.mse_loss(D(forth), pairs.x2) + F.mse_loss(D(back), pairs.x1)
    torch.testing.assert_close(terms["pixel"], expected)
    moved = torch.cat([forth, back])
    expected = 0.5 * (moved - E(D(moved))).square().sum(1).mean()
    torch.testing.assert_close(terms["latent_inverse"], expected)


@pytest.mark.parametrize("turns, unit", [(4, "one"), (None, "mean square")])
def test_swarnali2025_loss_is_the_published_sum(turns, unit):
    dataset = lga.load_dataset("rotated_mnist", "stand-in", turns=turns)
    system = lga.build_system("swarnali2025", dataset, invariance_weight=3, equivariance_weight=5)
    pairs = dataset.pairs("train", 8, torch.Generator().manual_seed(0))
    z1, z2 = system.encode(pairs.x1), system.encode(pairs.x2)
    M = system.action.split().view(-1, 1, 1)
    assert 0 < M.mean() < 1
    moved = system.action.move(pairs.g, z1)
    size = 1 if unit == "one" else z2.square().mean()
    terms = system.loss(pairs)
    torch.testing.assert_close(
        terms["invariance"], 3 * F.mse_loss((1 - M) * z1, (1 - M) * z2) / size
    )
    torch.testing.assert_close(terms["equivariance"], 5 * F.mse_loss(M * moved, M * z2) / size)
    painted = system.transform(pairs.x1, pairs.g)
    torch.testing.assert_close(terms["pixel"], F.mse_loss(2 * painted - 1, 2 * pairs.x2 - 1))


def test_swarnali2025_stops_the_gradient_at_the_second_image(digits):
    system = lga.build_system("swarnali2025", digits)
    pairs = digits.pairs("train", 4, torch.Generator().manual_seed(0))
    seen = pairs.x2.clone().requires_grad_()
    terms = system.loss(lga.Pairs(pairs.x1, seen, pairs.g))
    with pytest.raises(RuntimeError, match=r"not have been used|does not require grad"):
        torch.autograd.grad(terms["equivariance"] + terms["invariance"], seen)


@pytest.mark.parametrize("mask, fraction", [("all", 1.0), ("fixed", 0.25)])
def test_swarnali2025_controls(digits, mask, fraction):
    system = lga.build_system("swarnali2025", digits, mask=mask, varying=0.25)
    assert system.mask_fraction() == fraction


def test_weights_follow_the_seed_and_leave_the_callers_random_state_alone(digits):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (lga.build_system("jin2024", digits, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    a, b, c = (next(iter(s.parameters())) for s in (first, again, other))
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize("group", [SO2(), SO3(), Cyclic(24), Affine()], ids=repr)
def test_jin2024_serves_every_group(group):
    system = lga.SYSTEMS["jin2024"]((1, 28, 28), group)
    assert system.transform(torch.rand(3, 1, 28, 28), group.sample(3)).shape == (3, 1, 28, 28)


def test_a_refused_group_is_an_error_that_says_why(digits):
    class Faces:
        name, image_shape, group = "faces", (1, 28, 28), Affine()

    if lga.SYSTEMS["swarnali2025"].refusal(Faces.image_shape, Faces.group):
        with pytest.raises(ValueError, match="swarnali2025 cannot run on faces"):
            lga.build_system("swarnali2025", Faces)
    with pytest.raises(ValueError, match="did you mean 'jin2024'"):
        lga.build_system("jin2023", digits)
    with pytest.raises(ValueError, match="known: all, fixed, learned"):
        lga.build_system("swarnali2025", digits, mask="none")
