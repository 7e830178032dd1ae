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

from lga.datasets import DATASETS, Labelled, OrbitDataset, load_dataset
from lga.lookup import choose
from lga.runs import configure, load, trained_seeds
from lga.systems import SYSTEMS, LatentSystem, build_system
from lga.tables import mean_and_deviation, update_csv, with_all_labels, with_spread

BUDGETS = (10, 100, 1_000)  # labels, and all of them
TRAIN, TEST = 2_000, 1_000
COMPONENTS = 200
RIDGES = (1.0, 1e3, 1e6)
BATCH = 100

Features = Callable[[Tensor], dict[str, np.ndarray]]
COLUMNS = ("dataset", "system", "part", "probe", "tested_on", "labels", "seeds")


@torch.no_grad()
def parts(system: LatentSystem, images: Tensor) -> dict[str, np.ndarray]:
    """z, z_v and z_i of images (n, C, …), each (n, numbers); where nothing stays, z_v alone."""
    codes = torch.cat([system.encode(batch).z for batch in images.split(BATCH)])
    varying = system.action.varying(codes).expand(codes.shape[1:]).flatten() > 0.5
    flat = codes.flatten(1).double().numpy()
    found = {"z": flat, "z_v": flat[:, varying], "z_i": flat[:, ~varying]}
    whole = varying.all() or not varying.any()
    return {part: code for part, code in found.items() if code.size and not (whole and part == "z")}


def scores(
    train: np.ndarray, classes: np.ndarray, tests: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[str, str, float]]:
    """(probe, tested on, accuracy) of class probes trained on features (n, d), if classes differ.

    The features are standardised and, where there are many, reduced to their main components;
    those of fewer objects than features come from the objects' inner products, which are fewer.

    Args:
        train, classes: features and classes to learn from.
        tests: features and classes to test on, by name.
    """
    from sklearn.decomposition import PCA, KernelPCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels, numbers = train.shape
    if len(np.unique(classes)) < 2:
        return
    components = min(COMPONENTS, labels, numbers)
    pca = KernelPCA(components) if numbers > labels else PCA(components, random_state=0)
    main = make_pipeline(StandardScaler(), *([pca] if components < numbers else [])).fit(train)
    x = main.transform(train)
    probes = {
        "logistic": LogisticRegression(C=0.1, max_iter=10_000),
        "knn": KNeighborsClassifier(min(5, labels)),
    }
    seen = {name: (main.transform(test), truth) for name, (test, truth) in tests.items()}
    for name, probe in probes.items():
        probe.fit(x, classes)
        for tested_on, (test, truth) in seen.items():
            yield name, tested_on, float(probe.score(test, truth))


def pose_score(train: np.ndarray, poses: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """R² of ridge regression from features to the entries of the group element, at least 0.

    How strong the ridge is, leaving one training object out decides: thousands of features need
    more of it than twenty.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), RidgeCV(RIDGES)).fit(train, poses)
    return max(0.0, float(fitted.score(test, truth)))


def flat_elements(found: Labelled) -> np.ndarray:
    """Group elements as rows of numbers, (n, d²), those that never change left out."""
    flat = found.elements.flatten(1).double().numpy()
    return flat[:, flat.std(0) > 1e-6]


def probed(
    features: Features, dataset: OrbitDataset, draws: Sequence[int]
) -> Iterator[tuple[str, str, str, int, float]]:
    """(part, probe, tested on, labels, score) of one way to see images.

    For each draw of the labels; once where it is all of them.

    Args:
        features: images (n, C, …) to features (n, d) by part.
        dataset: with classes.
        draws: seeds of the orders in which labels are given.
    """
    upright, moved = (dataset.labelled("train", TRAIN, moved=m) for m in (False, True))
    test = {"upright": dataset.labelled("test", TEST, moved=False),
            "moved": dataset.labelled("test", TEST, moved=True)}  # fmt: skip
    classes, n = upright.labels.numpy(), len(upright.labels)
    orders = [np.random.default_rng(draw).permutation(n) for draw in draws]
    given = [order[:labels] for labels in BUDGETS if labels < n for order in orders]
    seen = {name: features(found.images) for name, found in test.items()}
    learned, turned = features(upright.images), features(moved.images)
    for part, train in learned.items():
        tests = {n: (seen[n][part], found.labels.numpy()) for n, found in test.items()}
        score = pose_score(
            turned[part], flat_elements(moved), seen["moved"][part], flat_elements(test["moved"])
        )
        yield part, "pose", "moved", len(moved.labels), score
        for subset in [*given, orders[0]]:
            for probe, tested_on, accuracy in scores(train[subset], classes[subset], tests):
                yield part, probe, tested_on, len(subset), accuracy


def pixels(images: Tensor) -> dict[str, np.ndarray]:
    """The image itself, as a reference."""
    return {"pixels": images.flatten(1).double().numpy()}


def measure(
    profile: str = "standard",
    datasets: str = "all",
    systems: str = "all",
    source: str = "auto",
    data_root: str | Path | None = None,
    results: Path | str | None = None,
    draws: int = 3,
) -> Path:
    """Probes every latent system whose weights are there, beside pixels and no training.

    Each one's rows take the place of its earlier ones in `probes.csv` as soon as they are known.
    A network is asked about data that it was trained on, or not at all: weights made from real
    data keep their rows where only a stand-in is at hand. Labels are given to the objects that are
    at hand, whatever stretched copies of them a network has seen.

    Args:
        datasets, systems: names separated by commas, or "all".
        draws: orders in which labels are given, and untrained networks.

    Returns:
        The table's file: dataset, system, part, probe ("logistic", "knn": accuracy; "pose": R²),
        tested_on, labels, seeds of the system, mean and sd over seeds and draws of the labels
        (none of a single value), and source.

    Raises:
        ValueError: for an unknown name.
        FileNotFoundError: where nothing that has a latent was trained on objects of known classes
            that are at hand.
    """
    import pandas

    wanted = choose("system", systems, SYSTEMS)
    latent = {system for system in wanted if issubclass(SYSTEMS[system], LatentSystem)}
    path = None
    for name in choose("dataset", datasets, DATASETS):
        known = latent & trained_seeds(name, profile, results).keys()
        if not known:
            continue
        dataset = load_dataset(name, source, data_root, profile)
        if not has_classes(dataset):
            continue
        trained = {
            system: [load(f"{name}/{system}", profile, seed, results) for seed in seeds]
            for system, seeds in trained_seeds(name, profile, results, dataset.source).items()
            if system in latent
        }
        if left := ", ".join(sorted(known - trained.keys())):
            print(f"{name}: {left} learned from other data than {dataset.source}; the rows stay")
        if not trained:
            continue
        for system, seeds, ways in ways_to_see(dataset, trained, profile, draws):
            scored: dict[tuple, list[float]] = {}
            for features, orders in ways:
                for *row, score in probed(features, dataset, orders):
                    scored.setdefault((name, system, *row, seeds), []).append(score)
            frame = pandas.DataFrame(list(scored), columns=list(COLUMNS))
            frame[["mean", "sd"]] = [mean_and_deviation(values) for values in scored.values()]
            frame["source"] = dataset.source
            path = update_csv(frame, "probes", ["dataset", "system"], profile, results)
    if path is None:
        raise FileNotFoundError(
            "no weights of a latent system on a dataset with classes that is at hand: lga train, "
            "or --data-root"
        )
    return path


def summary(frame):
    """What matters most of the table of `measure`, as a pandas DataFrame by dataset and system.

    Returns:
        For every part the class's accuracy on moved objects (logistic regression from all labels),
        and the pose's R²; as "mean ± sd".
    """
    told = {"logistic": "class", "pose": "pose"}
    chosen = with_all_labels(frame)
    chosen = chosen[chosen["probe"].isin(told)]
    columns = chosen["probe"].map(told) + " from " + chosen["part"]
    texts = [with_spread(*row, decimals=2) for row in chosen[["mean", "sd"]].to_numpy()]
    found = chosen.assign(told=columns, text=texts)
    shown = found.pivot(index=["dataset", "system"], columns="told", values="text").fillna("")
    order = list(dict.fromkeys(zip(frame["dataset"], frame["system"], strict=True)))
    return shown.loc[order].rename_axis(columns=None)


def ways_to_see(
    dataset: OrbitDataset,
    trained: Mapping[str, Sequence[LatentSystem]],
    profile: str,
    draws: int,
) -> Iterator[tuple[str, int, list[tuple[Features, Sequence[int]]]]]:
    """(label, seeds, features with seeds of the orders of labels) of what is probed.

    Pixels and every trained latent system with each of its seeds, in `draws` orders; the same
    networks untrained, `draws` of them in an order each.
    """
    yield "pixels", 0, [(pixels, range(draws))]
    for system, ready in trained.items():
        orders = [range(k, draws * len(ready), len(ready)) for k in range(len(ready))]
        seen = [partial(parts, one) for one in ready]
        yield system, len(ready), list(zip(seen, orders, strict=True))
        options = configure(dataset.name, system, profile).system_options
        untrained = [build_system(system, dataset, k, **options).eval() for k in range(draws)]
        yield (
            f"{system}, untrained",
            draws,
            [(partial(parts, one), [k]) for k, one in enumerate(untrained)],
        )


def has_classes(dataset: OrbitDataset) -> bool:
    """Whether the dataset's objects have classes."""
    try:
        dataset.labelled("test", 1, moved=False)
    except ValueError:
        return False
    return True
