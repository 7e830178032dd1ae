"""How a record's source says which stretched copies of the objects a run trained on."""

import re

STRETCHED = re.compile(r", (\d+) stretched copies to train on$")


def with_copies(source: str, copies: int) -> str:
    """A source in words, with the copies beside its objects; `without_copies` reads it."""
    return f"{source}, {copies} stretched copies to train on" if copies else source


def without_copies(source: str) -> tuple[str, int]:
    """What a run was tested on, and how many stretched copies it only trained on."""
    found = STRETCHED.search(source)
    return (source[: found.start()], int(found[1])) if found else (source, 0)
