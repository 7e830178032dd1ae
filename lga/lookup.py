"""Finding a thing by its name, with an error that helps when there is none."""

import difflib
from collections.abc import Collection


def check_name(kind: str, name: str, known: Collection[str]) -> str:
    """Returns name unchanged; raises ValueError naming the known ones and the closest."""
    if name in known:
        return name
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ValueError(f"unknown {kind} {name!r}{hint}; known: {', '.join(sorted(known))}")


def choose(kind: str, text: str, known: Collection[str]) -> list[str]:
    """Names separated by commas, or "all", as a list; raises ValueError for an unknown one."""
    if text == "all":
        return list(known)
    return [check_name(kind, name, known) for name in text.split(",")]
