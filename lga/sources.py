"""How a record's source says which stretched copies of the objects a run trained on."""

import re

STRETCHED = re.compile(r", (\d+) (upright )?stretched copies to train on$")


def with_copies(source: str, copies: int, upright: bool = False) -> str:
    """A source in words, with the copies beside its objects; `without_copies` reads it."""
    kind = "upright stretched" if upright else "stretched"
    return f"{source}, {copies} {kind} copies to train on" if copies else source


def without_copies(source: str) -> tuple[str, int, bool]:
    """What a run was tested on, on how many copies it only trained, and whether these stand."""
    found = STRETCHED.search(source)
    return (source[: found.start()], int(found[1]), bool(found[2])) if found else (source, 0, False)
