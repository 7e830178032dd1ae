"""Published parameter counts, published losses, learning on one batch."""

import pytest
import torch
import torch.nn.functional as F
from conftest import NARROW, SMALL, WITHOUT_WEIGHTS

import lga
from lga.catalogue import refusals
from lga.groups import SO2, SO3, Affine, Cyclic
from lga.networks import Encoding, MapAutoencoder, MNISTAutoencoder, RenderedAutoencoder
from lga.networks.autoencoders import PlaceAttention, place_encoding
from lga.runs import parameter_count

PUBLISHED_PARAMETERS = {
    ("jin2024", "rotated_mnist"): 329_433,
    ("jin2024", "blocked_mnist"): 329_433,
    ("jin2024", "brain_mri"): 407_105,
    ("swarnali2025", "rotated_mnist"): 66_753,
}


@pytest.mark.parametrize("cell", PUBLISHED_PARAMETERS, ids="-".join)
def test_published_parameter_counts(cell):
    system, dataset = cell
    built = lga.SYSTEMS[system].for_dataset(lga.DATASETS[dataset])
    assert parameter_count(built) == PUBLISHED_PARAMETERS[cell]


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 33, 20), (3, 64, 64), (2, 17, 17)])
def test_mnist_network_adapts_to_the_image(shape):
    network = MNISTAutoencoder(shape)
    x = torch.rand(2, *shape)
    encoding = network.encode(x)
    assert encoding.z.shape == (2, *network.latent_shape)
    assert network.decode(encoding).shape == x.shape


def test_map_network_keeps_images_in_range_and_refuses_odd_sides():
    network = MapAutoencoder((3, 32, 24))
    z = network.encode(torch.rand(2, 3, 32, 24)).z
    assert z.shape == (2, 64, 8, 6)
    painted = network.decode(Encoding(50 * z))
    assert painted.min() >= 0 and painted.max() <= 1 and painted.shape == (2, 3, 32, 24)
    with pytest.raises(ValueError, match="divisible by 4"):
        MapAutoencoder((1, 30, 28))


def test_rendered_network_has_the_published_widths_and_an_attention_skip():
    network = RenderedAutoencoder((3, 64, 64))
    assert network.latent_shape == (1020, 4, 4)
    assert network.attention.attention.embed_dim == 256
    network = RenderedAutoencoder((3, 32, 48), width=16).eval().double()
    x = torch.rand(2, 3, 32, 48).double()
    encoding = network.encode(x)
    assert encoding.skip.shape == (2, 64, 8, 12)
    assert network.decode(encoding).shape == x.shape
    # Attention knows places: where in the skip something lies makes a difference.
    shuffled = encoding.skip.flatten(2)[..., torch.randperm(96)].view_as(encoding.skip)
    painted, moved, without = (
        network.decode(encoding._replace(skip=skip))
        for skip in (encoding.skip, shuffled, 0 * encoding.skip)
    )
    assert (moved - painted).abs().max() > 1e-10 and (without - painted).abs().max() > 1e-8
    assert network.attention.attention.num_heads == 8
    assert (
        RenderedAutoencoder((3, 64, 64), width=16, skip=False).encode(torch.rand(1, 3, 64, 64)).skip
        is None
    )
    with pytest.raises(ValueError, match=r"divisible by 16, got 60×64; .* side=64, say"):
        RenderedAutoencoder((3, 60, 64))


def test_attention_can_copy_a_still_picture_place_by_place():
    """What looks for its own place finds it: positions tell every place from every other."""
    places = place_encoding(64, 16, 12)
    alike = places @ places.mT
    assert (alike.argmax(1) == torch.arange(16 * 12)).all()
    shifted = places.view(16, 12, 64)
    near = (shifted[1:] * shifted[:-1]).sum(-1)
    torch.testing.assert_close(near, near[:1, :1].expand_as(near))  # one step is one step anywhere
    attention = PlaceAttention(64, heads=1)
    with torch.no_grad():  # query and key the identity, sharpened, value and output too
        attention.attention.in_proj_weight.copy_(torch.eye(64).repeat(3, 1))
        attention.attention.in_proj_weight[:64] *= 200
        attention.attention.out_proj.weight.copy_(torch.eye(64))
        asked = 0.02 * torch.randn(2, 64, 16, 12)
        found, attended = attention.look(torch.zeros_like(asked), asked)
    assert (attended.argmax(2) == torch.arange(16 * 12)).float().mean() > 0.95
    assert (found - asked).abs().mean() < 0.2 * asked.abs().mean()


def test_jin2024_says_how_far_off_its_skip_looks():
    system = lga.SYSTEMS["jin2024"]((3, 32, 32), SO3(), width=12).eval()
    pairs = lga.Pairs(torch.rand(3, 3, 32, 32), torch.rand(3, 3, 32, 32), SO3().sample(3))
    with torch.no_grad():
        figures = system.diagnose(pairs)
    distance = figures["attended_distance_px"]
    # Untrained, it looks everywhere: the mean distance between places of an 8×8 grid, in pixels.
    places = torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0))
    torch.testing.assert_close(
        distance, 4 * torch.cdist(places, places).mean().expand(3), rtol=0.1, atol=0
    )
    assert figures["psnr_other_skip_db"].shape == (3,)
    assert not lga.SYSTEMS["jin2024"]((3, 32, 32), SO3(), width=12, skip=False).diagnose(pairs)


CELLS = [(s, d) for s in lga.SYSTEMS for d in lga.DATASETS if d not in refusals(s)]


LEARNING = [
    *(cell for cell in CELLS if cell[0] not in WITHOUT_WEIGHTS), ("swarnali2025", "quarter turns")
]  # fmt: skip


@pytest.mark.parametrize("cell", LEARNING, ids="-".join)
def test_loss_falls_on_one_batch(cell):
    name, dataset_name = cell
    if dataset_name == "quarter turns":
        dataset_name, changes = "rotated_mnist", {"turns": 4}
    else:
        changes = SMALL.get(dataset_name, {})
    dataset = lga.load_dataset(dataset_name, "stand-in", **changes)
    values = lga.configure(dataset_name, name).system_options | NARROW.get(name, {})
    if "loss_form" in values:
        values = values | {
            "loss_form": "mse"
        }  # logarithms are negative: no share of them says much
    system = lga.build_system(name, dataset, **values)
    few = 1 if len(dataset.image_shape) > 3 else 2 if dataset.image_shape[1] >= 64 else 8
    batch = dataset.pairs("train", few, torch.Generator().manual_seed(0))
    # Pixels have far to go; lga begins by turning the picture's harmonics, which is nearly right.
    begins_well = name == "lga" and dataset_name in ("rotated_mnist", "adrenal_3d", "brain_3d")
    lr = {"mean_image": 0.03, "swarnali2025": 1e-3}.get(name, 2e-4 if begins_well else 2e-3)
    optimizer = torch.optim.Adam(system.parameters(), lr=lr)
    losses = []
    for _ in range(25):
        terms = system.loss(batch)
        loss = sum(terms.values())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in system.parameters())
        optimizer.step()
        losses.append(float(terms["pixel"].detach()))
    # hwang2023 begins by copying, which is a good deal better than painting noise.
    share = 0.98 if begins_well else 0.95 if name == "hwang2023" else 0.75
    assert losses[-1] < share * losses[0]


@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell[0] not in WITHOUT_WEIGHTS], ids="-".join
)
def test_images_of_another_size_are_refused(cell):
    """A network of convolutions would take them, and paint pictures of its own size."""
    name, dataset = cell
    system = lga.SYSTEMS[name].for_dataset(lga.DATASETS[dataset], **NARROW.get(name, {})).eval()
    channels, *sides = system.image_shape
    g = system.group.identity(2)
    for shape in ((channels, *[side + 16 for side in sides]), (channels + 1, *sides)):
        with pytest.raises(ValueError, match=r"images must be \(N, .*got \(2, "):
            system.transform(torch.rand(2, *shape), g)
    with pytest.raises(ValueError, match="images must be"):
        system.transform(torch.rand(system.image_shape), system.group.identity(channels))


def test_jin2024_loss_is_the_published_sum(digits):
    system = lga.build_system("jin2024", digits, latent_inverse_weight=0.5)
    pairs = digits.pairs("train", 8, torch.Generator().manual_seed(0))
    E, D, act = system.encode, system.decode, system.act
    forth, back = act(pairs.g, E(pairs.x1)), act(pairs.g.mT, E(pairs.x2))
    terms = system.loss(pairs)
    expected = F.mse_loss(D(forth), pairs.x2) + F.mse_loss(D(back), pairs.x1)
    torch.testing.assert_close(terms["pixel"], expected)
    seen = [E(x) for x in (pairs.x1, pairs.x2)]  # section 6.1: encoded from real data
    errors = [(z.z - E(D(z)).z).square().sum(1) for z in seen]
    expected = 0.5 * torch.cat(errors).mean()
    torch.testing.assert_close(terms["latent_inverse"], expected)


@pytest.mark.parametrize("turns", [4, None], ids=["absolute", "relative"])
def test_swarnali2025_loss_is_the_published_sum(turns):
    dataset = lga.load_dataset("rotated_mnist", "stand-in", turns=turns)
    system = lga.build_system("swarnali2025", dataset, invariance_weight=3, equivariance_weight=5)
    pairs = dataset.pairs("train", 8, torch.Generator().manual_seed(0))
    z1, z2 = system.encode(pairs.x1).z, system.encode(pairs.x2).z
    M = system.action.split().view(-1, 1, 1)
    assert 0 < M.mean() < 1
    moved = system.action.move(pairs.g, z1)
    if turns is None:
        z1, z2, moved = (z / z.square().mean().sqrt() for z in (z1, z2, moved))
    terms = system.loss(pairs)
    torch.testing.assert_close(terms["invariance"], 3 * F.mse_loss((1 - M) * z1, (1 - M) * z2))
    torch.testing.assert_close(terms["equivariance"], 5 * F.mse_loss(M * moved, M * z2))
    painted = system.transform(pairs.x1, pairs.g)
    torch.testing.assert_close(terms["pixel"], F.mse_loss(2 * painted - 1, 2 * pairs.x2 - 1))


def test_swarnali2025_relative_terms_give_latents_no_reason_to_grow(digits):
    """Scaling every latent changes no term, so the gradient has no part along it."""
    system = lga.build_system("swarnali2025", digits)
    pairs = digits.pairs("train", 8, torch.Generator().manual_seed(0))
    before = system.loss(pairs)
    last = system.network.encoder[2]
    with torch.no_grad():
        last.weight *= 3
        last.bias *= 3
    after = system.loss(pairs)
    for term in ("invariance", "equivariance"):
        torch.testing.assert_close(after[term], before[term], rtol=1e-4, atol=1e-6)


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


def test_missing_lpips_weights_leave_the_pixel_loss_and_a_remark(monkeypatch):
    looks = []

    def missing(net="vgg"):
        looks.append(net)
        raise OSError("no weights here")

    monkeypatch.setattr("lga.losses.lpips_network", missing)
    system = lga.SYSTEMS["jin2024"]((3, 64, 64), SO3(), width=12, perceptual_weight=5e-4)
    pairs = lga.Pairs(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64), SO3().sample(2))
    system.transform(pairs.x1, pairs.g)
    assert not looks  # to move pictures they are not needed
    with pytest.warns(UserWarning, match="without the perceptual loss: no weights here"):
        assert set(system.loss(pairs)) == {"pixel"}
    assert set(system.loss(pairs)) == {"pixel"} and len(looks) == 1
    assert system.remarks["perceptual_loss"] == "left out: LPIPS is missing"


@pytest.mark.parametrize("name", ["jin2024", "lga"])
@pytest.mark.usefixtures("cheap_lpips")
def test_the_perceptual_loss_is_added_with_its_weight(name):
    system = lga.SYSTEMS[name]((3, 64, 64), SO3(), width=12, perceptual_weight=0.5)
    pairs = lga.Pairs(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64), SO3().sample(2))
    terms = system.loss(pairs)
    assert not lga.SYSTEMS[name]((3, 64, 64), SO3(), width=12).remarks
    assert 0.1 < float(terms["perceptual"].detach()) < 0.5 and "weight 0.5" in str(system.remarks)
    of_one = lga.SYSTEMS[name](
        (3, 64, 64), SO3(), width=12, perceptual_weight=0.5, perceptual_images=1
    )
    assert "1 image a step" in str(of_one.remarks) and "1 image" not in str(system.remarks)


def test_unknown_names_are_errors_that_help(digits):
    with pytest.raises(ValueError, match="did you mean 'jin2024'"):
        lga.build_system("jin2023", digits)
    with pytest.raises(ValueError, match="known: all, fixed, learned"):
        lga.build_system("swarnali2025", digits, mask="none")
    with pytest.raises(ValueError, match="volumes by those of space, not by Affine"):
        lga.SYSTEMS["swarnali2025"]((1, 28, 28), Affine(), action="maps")


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 50, 70), (1, 100, 90), (3, 32, 48)])
def test_any_image_gets_a_network_that_fits(shape):
    system = lga.SYSTEMS["jin2024"](shape, SO2(), width=12)
    assert system.transform(torch.rand(2, *shape), SO2().sample(2)).shape == (2, *shape)
