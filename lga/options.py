"""The options of datasets and systems: keyword-only parameters, and the numbers that they take."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

SIGNED = ("initial_logit",)


def keyword_options(function: Callable) -> dict[str, Any]:
    """The keyword-only parameters of a function or constructor, with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_numbers(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses numbers that no option takes, before anything is computed with them.

    An option is finite and, but for those in `SIGNED`, at least 1 where its default is None or a
    whole number from 1 on (a width, say), at least 0 else (a weight). Names without a default are
    not looked at.

    Raises:
        ValueError: naming the option and what it must be.
    """
    for name, value in given.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or name not in defaults:
            continue
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")
        default = defaults[name]
        counted = default is None or (isinstance(default, int) and default >= 1)
        least = 1 if counted else 0
        if value < least and name not in SIGNED:
            raise ValueError(f"{name} must be at least {least}, got {value}")
