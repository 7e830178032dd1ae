"""Our own system: the idea of `jin2024` with irreducible representations and fitting networks.

x1 ─E─▶ z1 = [z_i; z_v] ─▶ [z_i; g·z_v] ─D─▶ x̂2 = a ⊙ B + (1 − a) ⊙ F(g·z_v)
"""

import functools
from typing import Literal

from torch import Tensor

from lga.cameras import Camera
from lga.groups import SO2, SO3, Affine, Cyclic, Group, Translation
from lga.latents import FixedSplit, LatentAction
from lga.lookup import check_name
from lga.losses import ImageLoss
from lga.networks import (
    Autoencoder,
    CompositeAutoencoder,
    DiscHarmonics,
    Encoding,
    ForegroundAutoencoder,
    HarmonicAutoencoder,
    ObjectField,
    PatchAutoencoder,
    PixelAutoencoder,
    PlaneWaves,
    PolarAutoencoder,
    SphericalAutoencoder,
    StillMap,
    StillNumbers,
    VolumeAutoencoder,
)
from lga.pairs import Pairs
from lga.representations import (
    DirectSum,
    Family,
    Irreps,
    Representation,
    Restriction,
    TurnedMaps,
    Waves,
    family,
)
from lga.systems.base import LatentSystem
from lga.systems.jin2024 import published_networks

Form = Literal["log", "mse"]
NETWORKS = ("auto", "plane", "object", "pixels", "volume")


class LGA(LatentSystem):
    """The system that we recommend: a network that fits how the group acts, latents in irreps.

    Of what a picture shows, z_v moves by irreducible representations of the group; B, seen through
    a mask a, stays. The network is tailored to one of four ways to act:

        plane    turns or shifts of the     E and D go through disc harmonics or plane waves, the
                 image plane                plane's own irreps, between convolutions; z_i holds a
                                            and B
        object   an object moves in space   z holds degrees 1 … 4 or frequencies 1 … 12 and what
                                            stays of the object, before a known camera also fields
                                            in the ball around it; B is x1 without the object
        pixels   contrast                   vectors at every pixel; B is x1
        volume   a volume turns              z is the volume itself with features at every voxel,
                                            scalars and vectors, turned by interpolation: the laws
                                            hold up to that

    Args:
        image_shape: (C, H, W), with even sides for "plane" and square for turns, sides divisible
            by 16 else; or (C, D, H, W).
        group: the group that acts.
        camera: how it looks at an object in space; None otherwise.
        network: one of these, or "auto": by the camera, the group and the shape.
        still: for "plane", whether part of a picture may stay.
        still_price: for "plane", what the light that stays costs, times its mean over pixels: what
            could as well move then moves.
        width: for "plane" of the convolutions, 48 by default; for "object" of the finest maps, 48;
            for "pixels" of the finest maps, 64; for "volume" of the convolutions, 16.
        depth: for "plane", of the convolutions before and after the turn.
        fields: for "volume", how many copies of order 0, 1, … stand beside it at every voxel, with
            commas.
        logit: for "pixels", whether the encoder is given logit(x1): it gives the group away.
        loss_form: "log" optimises PSNR, "mse" is `jin2024`'s.
        perceptual_weight: of LPIPS, which sees textures, beside the pixel loss.
        perceptual_images: how many images of a batch LPIPS sees; 0 for all.
        perceptual_after: how many training pairs are seen before LPIPS joins. As PSNR falls then,
            `selection=last` should keep the weights that a run ends with.
    """

    still_price = 0.0
    logit = False

    def __init__(
        self,
        image_shape: tuple[int, ...],
        group: Group,
        camera: Camera | None = None,
        *,
        network: Literal["auto", "plane", "object", "pixels", "volume"] = "auto",
        still: bool = True,
        still_price: float = 0.0,
        width: int | None = None,
        depth: int = 3,
        fields: str = "1,2",
        logit: bool = False,
        loss_form: Form = "log",
        perceptual_weight: float = 0.0,
        perceptual_images: int = 0,
        perceptual_after: int = 0,
    ) -> None:
        check_name("network", network, NETWORKS)
        channels = image_shape[0]
        if network == "auto":
            network = "volume" if len(image_shape) == 4 else way_to_act(group, camera)
        if still_price and not (network == "plane" and still):
            raise ValueError(f"still_price={still_price:g} is for a plane, part of which may stay")
        if perceptual_weight and network == "volume":
            raise ValueError(
                f"perceptual_weight={perceptual_weight:g} is for pictures: LPIPS has 2 axes"
            )
        image_loss = ImageLoss(loss_form, perceptual_weight, perceptual_images, perceptual_after)
        if network == "volume":
            if not isinstance(group, SO3):
                raise ValueError(f"network=volume is for turns of space, not for {group}")
            features = Irreps(group, whole_numbers(fields))
            scalars, *others = features.multiplicities
            pair = VolumeAutoencoder(image_shape, features.channels, width or 16)
            maps = TurnedMaps(group, (channels + scalars, *others))
            self.assemble(pair, maps, group, image_loss)
        elif network == "plane":
            harmonics, irreps = plane_harmonics(group, image_shape)
            pair = HarmonicAutoencoder(
                image_shape,
                harmonics,
                channels_in=channels + still,
                width=width or 48,
                depth=depth,
            )
            if still:
                pair = CompositeAutoencoder(StillMap(image_shape), pair)
            self.assemble(
                pair, Irreps(irreps.group, pair.multiplicities, irreps), group, image_loss
            )
        elif network == "object":
            wide = width or 48
            moves: Representation = Irreps(group, (128, *equal_multiplicities(group, 16)))
            numbers, field = moves.channels, None
            if camera is not None:
                field = ObjectField(camera, wide, image_shape[1] // 4)
                in_space = Irreps(SO3(), field.multiplicities)
                as_seen = functools.partial(camera.turn, group)
                moves = DirectSum(moves, Restriction(group, in_space, as_seen))
            pair = ForegroundAutoencoder(
                image_shape,
                numbers,
                field,
                widths=(wide, 2 * wide, 2 * wide),
                neck=16 if field else 24,
            )
            self.assemble(pair, moves, group, image_loss)
        else:
            size = Irreps(group, (0, 1)).channels
            pair = PixelAutoencoder(
                image_shape, still=8, moving=8 * size, logit=logit, width=width or 64
            )
            self.assemble(pair, Irreps(group, (8, 8)), group, image_loss)
        self.still_price = still_price
        self.logit = logit

    def assemble(
        self,
        network: Autoencoder,
        representation: Representation,
        group: Group,
        image_loss: ImageLoss,
    ) -> None:
        """A network, how its latent moves, and its loss; the pairs' g are of `group`."""
        units = len(representation.sizes)
        action = LatentAction(representation, FixedSplit(units, units))
        LatentSystem.__init__(self, network, action)
        self.group, self.image_loss = group, image_loss

    @property
    def remarks(self) -> dict[str, str]:
        """Whether LPIPS, if it is asked for, takes part, and what else the encoder is given."""
        preset = {"preset": "the encoder is given logit(x1)"} if self.logit else {}
        return preset | self.image_loss.remarks

    def begin_step(self, pairs_seen: int) -> bool:
        return self.image_loss.begin_step(pairs_seen)

    def loss(self, pairs: Pairs) -> dict[str, Tensor]:
        """L_x(x2, D(g·z1)) + L_x(x1, D(g⁻¹·z2)), and where it has one the price of what stays."""
        targets, _, moved = self.both_ways(pairs)
        if not self.still_price:
            return self.image_loss(targets, self.decode(moved))
        layers = self.network.layers(moved)
        price = self.still_price * layers.at_rest().mean()
        return {**self.image_loss(targets, layers.composed()), "still": price}

    def diagnose(self, pairs: Pairs) -> dict[str, Tensor]:
        """`still_share`: of the light in x̂2, Σ x̂2, the share that what stays paints, Σ a ⊙ B."""
        if not hasattr(self.network, "layers"):
            return {}
        layers = self.network.layers(self.act(pairs.g, self.encode(pairs.x1)))
        still = layers.at_rest().flatten(1).sum(1)
        light = layers.composed().clamp(0, 1).flatten(1).sum(1)
        return {"still_share": still / light.clamp(min=1e-6)}  # a picture may be black

    def swap(self, moving: Encoding, still: Encoding) -> Encoding:
        """What moves of one, with its own invariants, before what stays of another."""
        if hasattr(self.network, "layers"):
            return self.network.before(moving, still)
        return super().swap(moving, still)


class LGAMatched(LGA):
    """With at most the latent numbers and the parameters that `jin2024` has for the same pictures.

        turns of the image plane   digits, 24 and 329,433: E and D are polar networks, equivariant
                                   but for aliasing
        turns of a volume          96 and 867,489: E and D are spherical networks, likewise
        contrast                   brains, 1,024 and 407,105: four numbers for every patch of 8×8
                                   pixels, of which two move

    Args:
        image_shape: (C, S, S) or (C, S, S, S); for contrast (C, H, W), sides divisible by 16.
        group: turns of the image plane or of space, or contrast changes.
        still: for turns of the plane, how many of the 24 numbers are for what stays; 0 for none.
        multiplicities: of the other numbers, or of a patch's, by order, with commas; "auto" for 24
            or 20 numbers, for 96, or for 4.
        width, depth: for turns of the decoder's circle or sphere; a multiple of 3, 96 by default,
            and its blocks. Where nothing stays there is room for 11 blocks within `jin2024`'s
            parameters, beside what stays for 8, the default; on a sphere 6. For contrast of the
            maps, 64, and 2 blocks.
        loss_form: "log" optimises PSNR, "mse" is `jin2024`'s.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        group: Group,
        *,
        still: int = 0,
        multiplicities: str = "auto",
        width: int | None = None,
        depth: int | None = None,
        loss_form: Form = "log",
    ) -> None:
        if still and not isinstance(group, SO2):
            raise ValueError(f"still={still} is for turns of the plane, where pictures may stay")

        def copies(preset: str) -> tuple[int, ...]:
            return whole_numbers(preset if multiplicities == "auto" else multiplicities)

        if isinstance(group, SO3):
            irreps = Irreps(group, copies("24,3,3,3,3"))
            network = SphericalAutoencoder(
                image_shape, irreps.multiplicities, width=width or 96, depth=depth or 6
            )
        elif isinstance(group, Affine):
            irreps = Irreps(group, copies("2,2"))
            network = PatchAutoencoder(
                image_shape, irreps.channels, width=width or 64, depth=depth or 2
            )
        else:
            network = PolarAutoencoder(
                image_shape,
                copies("4,3,2,2,1" if still else "4,3,3,2,2"),
                channels_in=image_shape[0] + bool(still),
                width=width or 96,
                depth=depth or 8,
            )
            if still:
                network = CompositeAutoencoder(StillNumbers(image_shape, still), network)
            irreps = Irreps(SO2(), network.multiplicities)
        self.assemble(network, irreps, group, ImageLoss(loss_form))

    @classmethod
    def refusal(cls, dataset) -> str | None:
        if dataset.camera is not None:
            return "is for other pictures: lga itself has fewer numbers and parameters than jin2024"
        turns = SO3 if len(dataset.image_shape) == 4 else (SO2, Affine)
        if not isinstance(dataset.group, turns):
            return "has networks for turns of the image plane or of a volume and for contrast only"
        return None


class LGAGeneric(LGA):
    """`jin2024`'s own networks, with irreducible representations and the better optimiser.

    Nothing in it is tailored to how the group acts on pictures.

    Args:
        image_shape: (C, H, W) or (C, D, H, W).
        group: the group that acts.
        network: "mnist", "brain", "rendered", or "auto" by the image's shape, as for `jin2024`.
        latent_dim: length of the MNIST network's latent, likewise.
        multiplicities: of a latent's channels by order from 0 on, with commas; "auto" leaves a
            sixth of them alone and shares the rest among the orders.
        width: first width of the rendered network.
        loss_form: "log" optimises PSNR, "mse" is `jin2024`'s.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        group: Group,
        *,
        network: str = "auto",
        latent_dim: int = 24,
        multiplicities: str = "auto",
        width: int = 64,
        loss_form: Form = "log",
    ) -> None:
        pair = published_networks(image_shape, network, latent_dim, width)
        channels = pair.latent_shape[0]
        if multiplicities == "auto":
            copies = shared_multiplicities(group, channels)
        else:
            copies = whole_numbers(multiplicities)
        if Irreps(group, copies).channels != channels:
            raise ValueError(
                f"multiplicities {multiplicities} make {Irreps(group, copies).channels} numbers, "
                f"the network has {channels}"
            )
        self.assemble(pair, Irreps(group, copies), group, ImageLoss(loss_form))


def way_to_act(group: Group, camera: Camera | None) -> Literal["plane", "object", "pixels"]:
    """Which network "auto" means: how the group acts on what a picture shows."""
    if isinstance(group, Affine):
        return "pixels"
    return "plane" if camera is None and moves_the_plane(group) else "object"


def moves_the_plane(group: Group) -> bool:
    """Whether a group can turn or shift the image plane."""
    return isinstance(group, SO2) or group == Translation(2)


def plane_harmonics(
    group: Group, image_shape: tuple[int, ...]
) -> tuple[DiscHarmonics | PlaneWaves, Family]:
    """What pictures are sums of, and the irreps by which turns or shifts of the plane move that."""
    if not moves_the_plane(group):
        raise ValueError(f"network=plane is for turns or shifts of the plane, not for {group}")
    if isinstance(group, SO2):
        return DiscHarmonics(image_shape), family(SO2())
    waves = PlaneWaves(image_shape)
    return waves, Waves(group, waves.vectors)


def equal_multiplicities(group: Group, copies: int) -> tuple[int, ...]:
    """So many copies of every order from 1 to the highest that pictures of objects ask for."""
    if isinstance(group, SO3):
        return (copies,) * 4
    if isinstance(group, SO2):
        return (copies,) * min(12, group.k // 2 if isinstance(group, Cyclic) else 12)
    return (8 * copies,)


def shared_multiplicities(group: Group, channels: int) -> tuple[int, ...]:
    """Five sixths of the channels shared among the orders, a sixth and what is left over at rest.

    24 channels under SO(2) are 4, 4, 3, 2, 1: what turns slowly needs more copies.
    """
    if isinstance(group, SO2) and not isinstance(group, Cyclic) and channels == 24:
        return 4, 4, 3, 2, 1
    orders = len(equal_multiplicities(group, 1))
    one_of_each = Irreps(group, (0, *[1] * orders)).channels
    copies = 5 * channels // 6 // one_of_each
    return (channels - copies * one_of_each, *[copies] * orders)


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "4,3,2" as numbers; raises ValueError for anything else."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"multiplicities are whole numbers with commas, got {text!r}") from None
