"""Probes: what the parts of a latent know of an object's class and of its pose.

Simple classifiers learn from frozen latents (`swarnali2025`, downstream classification): logistic
regression and k nearest neighbours for the class, trained on objects in their reference pose and
tested in it and moved; ridge regression for the pose. z_i should carry the class and know nothing
of the pose, z_v should know the pose.
results/<profile>/probes.csv    scores by dataset, system and part
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lga.datasets import Labelled, OrbitDataset
from lga.runs import configure, trained_datasets, trained_latents
from lga.systems import LatentSystem, build_system
from lga.tables import mean_and_deviation

BUDGETS = (10, 100, 1_000)  # labels, and all of them
TRAIN, TEST = 2_000, 1_000
COMPONENTS = 200
BATCH = 100

Features = Callable[[Tensor], dict[str, np.ndarray]]


@torch.no_grad()
def parts(system: LatentSystem, images: Tensor) -> dict[str, np.ndarray]:
    """z, z_v and z_i of images (n, C, …), each (n, numbers); an empty part is left out."""
    codes = torch.cat([system.encode(batch).z for batch in images.split(BATCH)])
    varying = system.action.varying(codes).expand(codes.shape[1:]).flatten() > 0.5
    flat = codes.flatten(1)
    found = {"z": flat, "z_v": flat[:, varying], "z_i": flat[:, ~varying]}
    return {part: code.double().numpy() for part, code in found.items() if code.shape[1]}


def scores(
    train: np.ndarray, classes: np.ndarray, tests: dict[str, tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[str, str, int, float]]:
    """(probe, tested on, labels, accuracy) of class probes trained on features (n, d).

    The features are standardised and, where there are many, reduced to their main components.

    Args:
        train, classes: features and classes to learn from, in random order.
        tests: features and classes to test on, by name.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    for labels in sorted({min(budget, len(train)) for budget in (*BUDGETS, len(train))}):
        x, y = train[:labels], classes[:labels]
        if len(np.unique(y)) < 2:
            continue
        components = min(COMPONENTS, labels, x.shape[1])
        reduce = [PCA(components, random_state=0)] if components < x.shape[1] else []
        main = make_pipeline(StandardScaler(), *reduce).fit(x)
        probes = {
            "logistic": LogisticRegression(C=0.1, max_iter=1_000),
            "knn": KNeighborsClassifier(min(5, labels)),
        }
        x = main.transform(x)
        seen = {name: (main.transform(test), truth) for name, (test, truth) in tests.items()}
        for name, probe in probes.items():
            probe.fit(x, y)
            for tested_on, (test, truth) in seen.items():
                yield name, tested_on, labels, float(probe.score(test, truth))


def pose_score(train: np.ndarray, poses: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """R² of ridge regression from features to the entries of the group element, at least 0."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), Ridge(1.0)).fit(train, poses)
    return max(0.0, float(fitted.score(test, truth)))


def flat_elements(found: Labelled) -> np.ndarray:
    """Group elements as rows of numbers, (n, d²), those that never change left out."""
    flat = found.elements.flatten(1).double().numpy()
    return flat[:, flat.std(0) > 1e-6]


def probed(
    features: Features, dataset: OrbitDataset, draws: Sequence[int]
) -> Iterator[tuple[str, str, str, int, float]]:
    """(part, probe, tested on, labels, score) of one way to see images, for each draw.

    Args:
        features: images (n, C, …) to features (n, d) by part.
        dataset: with classes.
        draws: seeds of the orders in which labels are given.
    """
    upright, moved = (dataset.labelled("train", TRAIN, moved=m) for m in (False, True))
    test = {"upright": dataset.labelled("test", TEST, moved=False),
            "moved": dataset.labelled("test", TEST, moved=True)}  # fmt: skip
    orders = [np.random.default_rng(draw).permutation(len(upright.labels)) for draw in draws]
    seen = {name: features(found.images) for name, found in test.items()}
    learned, turned = features(upright.images), features(moved.images)
    for part, train in learned.items():
        tests = {n: (seen[n][part], found.labels.numpy()) for n, found in test.items()}
        score = pose_score(
            turned[part], flat_elements(moved), seen["moved"][part], flat_elements(test["moved"])
        )
        for order in orders:
            for row in scores(train[order], upright.labels.numpy()[order], tests):
                yield part, *row
            yield part, "pose", "moved", len(moved.labels), score


def pixels(images: Tensor) -> dict[str, np.ndarray]:
    """The image itself, as a reference."""
    return {"pixels": images.flatten(1).double().numpy()}


def table(
    profile: str = "standard",
    data_root: str | Path | None = None,
    results: Path | str | None = None,
    source: str = "auto",
    draws: int = 3,
):
    """The probes of every latent system whose weights are there, beside pixels and no training.

    Returns:
        A pandas DataFrame with dataset, system, part, probe ("logistic", "knn": accuracy; "pose":
        R²), tested_on, labels, seeds of the system, mean and sd over seeds and draws of the labels,
        and source.
    """
    import pandas

    rows: dict[tuple, list[float]] = {}
    for dataset in trained_datasets(profile, source, data_root, results):
        if not has_classes(dataset):
            continue
        trained = trained_latents(dataset.name, profile, results)
        for label, seeds, features, order_seeds in ways_to_see(dataset, trained, profile, draws):
            for part, probe, tested_on, labels, score in probed(features, dataset, order_seeds):
                key = (dataset.name, label, part, probe, tested_on, labels, seeds, dataset.source)
                rows.setdefault(key, []).append(score)
    columns = ["dataset", "system", "part", "probe", "tested_on", "labels", "seeds", "source"]
    frame = pandas.DataFrame(list(rows), columns=columns)
    scored = [mean_and_deviation(values) for values in rows.values()]
    frame[["mean", "sd"]] = pandas.DataFrame(scored, columns=["mean", "sd"], dtype=float)
    return frame[[*columns[:-1], "mean", "sd", "source"]]


def ways_to_see(
    dataset: OrbitDataset,
    trained: Mapping[str, Sequence[LatentSystem]],
    profile: str,
    draws: int,
) -> Iterator[tuple[str, int, Features, Sequence[int]]]:
    """(label, seeds, features, seeds of the orders of labels) of what is probed.

    Pixels and every trained latent system with each of its seeds, in `draws` orders; the same
    networks untrained, `draws` of them in an order each.
    """
    yield "pixels", 0, pixels, range(draws)
    for system, ready in trained.items():
        for k, one in enumerate(ready):
            orders = range(k, draws * len(ready), len(ready))
            yield system, len(ready), partial(parts, one), orders
        options = configure(dataset.name, system, profile).system_options
        for draw in range(draws):
            untrained = build_system(system, dataset, draw, **options).eval()
            yield f"{system}, untrained", draws, partial(parts, untrained), [draw]


def has_classes(dataset: OrbitDataset) -> bool:
    """Whether the dataset's objects have classes."""
    try:
        dataset.labelled("test", 1, moved=False)
    except ValueError:
        return False
    return True
