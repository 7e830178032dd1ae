"""The group-law report: does a system's action obey the laws, in latent and in image space?

In latent space the laws hold by construction, up to rounding. In image space they hold on the
images that D can paint as far as E(D(z)) = z (`jin2024`, section 4, induced action).
"""

import torch
from torch import Tensor

from lga.metrics import psnr_db
from lga.networks import Encoding
from lga.systems.base import LatentSystem, System


def latent_laws(
    system: LatentSystem, encoding: Encoding, g1: Tensor, g2: Tensor
) -> dict[str, Tensor]:
    """Errors of the three laws relative to ‖z‖, each (N,).

    identity ‖Φ_e z − z‖, inverse ‖Φ_g⁻¹ Φ_g z − z‖, compatibility ‖Φ_g2 Φ_g1 z − Φ_(g2 g1) z‖.
    """
    group, z = system.group, encoding.z
    e = group.identity(len(z), dtype=g1.dtype, device=g1.device)

    def act(g: Tensor, z: Tensor) -> Tensor:
        return system.act(g, encoding._replace(z=z)).z

    def error(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)

    return {
        "law_identity": error(act(e, z), z),
        "law_inverse": error(act(group.inverse(g1), act(g1, z)), z),
        "law_compatibility": error(act(g2, act(g1, z)), act(group.compose(g2, g1), z)),
    }


def image_laws(system: System, x: Tensor, g1: Tensor, g2: Tensor) -> dict[str, Tensor]:
    """PSNR between the two sides of each law on painted images x′ = D(e·E(x)), each (N,), in dB."""
    group, T = system.group, system.transform
    e = group.identity(len(x), dtype=g1.dtype, device=g1.device)
    painted = T(x, e)
    moved = T(painted, g1)
    return {
        "law_identity_db": psnr_db(T(painted, e), painted),
        "law_inverse_db": psnr_db(T(moved, group.inverse(g1)), painted),
        "law_compatibility_db": psnr_db(T(moved, g2), T(painted, group.compose(g2, g1))),
    }


def latent_inverse(system: LatentSystem, encoding: Encoding) -> Tensor:
    """‖z − E(D(z))‖, (N,). The paper reports a mean of 0.304 where z has deviation 4.043."""
    z_again = system.encode(system.decode(encoding)).z
    return (encoding.z - z_again).flatten(1).norm(dim=1)


@torch.no_grad()
def law_report(system: System, x: Tensor, g1: Tensor, g2: Tensor) -> dict[str, float]:
    """Every law, as the mean over images x (N, C, H, W) and elements g1, g2 (N, d, d).

    The elements are of `system.group` (see `System.element`).

    Latent entries exist where the system acts on a latent; an infinite PSNR (two sides equal to
    the last bit) counts as 100 dB.
    """
    report = image_laws(system, x, g1, g2)
    report = {law: value.clamp(max=100.0) for law, value in report.items()}
    if isinstance(system, LatentSystem):
        encoding = system.encode(x)
        report |= latent_laws(system, encoding, g1, g2)
        report["latent_inverse_error"] = latent_inverse(system, encoding)
        report["latent_deviation"] = encoding.z.std()
    return {law: float(value.mean()) for law, value in report.items()}
