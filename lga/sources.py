"""How a record's source says which stretched copies of the objects a run trained on."""

import re

STRETCHED = re.compile(r", (\d+) (upright )?stretched copies to train on$")


def with_copies(source: str, copies: int, upright: bool = False) -> str:
    """A source in words, with the copies beside its objects; the two below read it."""
    kind = "upright stretched" if upright else "stretched"
    return f"{source}, {copies} {kind} copies to train on" if copies else source


def tested_on(source: str) -> str:
    """What a run was tested on: its source without the copies, which only train."""
    return STRETCHED.sub("", source)


def stretched_copies(source: str) -> tuple[int, bool]:
    """On how many copies a run trained, and whether these stand upright."""
    found = STRETCHED.search(source)
    return (int(found[1]), bool(found[2])) if found else (0, False)
