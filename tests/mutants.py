"""Breaks one equation at a time and asks whether a test notices.

    python tests/mutants.py [lga/groups.py ...]

Each mutant is a copy of the package with one line changed: a sign, a product, the order of two
factors, a comparison, a constant, a clamp left out. The tests beside it in `TESTS` run until one
fails; a mutant that passes them all survives and is printed, to be looked at by a person: the tests
cannot see that line, or the change changes nothing.
"""

import argparse
import ast
import copy
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {  # the quick ones first
    "lga/groups.py": ["groups", "representations", "datasets"],
    "lga/representations.py": ["representations", "latents", "lga"],
    "lga/latents.py": ["latents", "systems"],
    "lga/losses.py": ["losses", "systems"],
    "lga/laws.py": ["evaluation", "volumes"],
    "lga/metrics.py": ["evaluation", "volumes"],
    "lga/cameras.py": ["baselines", "rendered"],
    "lga/datasets/base.py": ["datasets", "own_data", "rendered"],
    "lga/datasets/turned.py": ["datasets", "volumes"],
    "lga/datasets/rotated_mnist.py": ["datasets", "blocked_mnist"],
    "lga/datasets/blocked_mnist.py": ["blocked_mnist", "datasets", "swaps_and_probes"],
    "lga/datasets/brain_mri.py": ["brain_mri", "datasets"],
    "lga/datasets/adrenal_3d.py": ["volumes"],
    "lga/datasets/brain_3d.py": ["volumes"],
    "lga/datasets/nmr.py": ["rendered", "bad_files"],
    "lga/datasets/plane_in_the_sky.py": ["rendered", "bad_files"],
}
SECONDS = 240  # a mutant that takes longer hangs, which is noticed, too
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult,
}  # fmt: skip
COMPARISONS = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}  # fmt: skip
CALLS = {
    "sin": "cos", "cos": "sin", "exp": "log", "log": "exp", "floor": "ceil", "ceil": "floor",
    "inverse": "clone", "sum": "mean", "mean": "sum", "min": "max", "max": "min",
}  # fmt: skip
LEFT_OUT = ("clamp", "clip", "square", "sqrt", "abs", "detach")


def changed(node: ast.AST) -> ast.AST | None:
    """What takes the place of a node, or None where there is nothing to break."""
    new = copy.deepcopy(node)
    match new:
        case ast.BinOp(op=ast.MatMult()):
            new.left, new.right = new.right, new.left
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            new.op = OPERATORS[type(op)]()
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            return operand
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            new.ops = [COMPARISONS[type(op)]()]
        case ast.BoolOp():
            new.op = ast.Or() if isinstance(new.op, ast.And) else ast.And()
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in LEFT_OUT:
            return value
        case ast.Attribute(value=value, attr="mT"):
            return value
        case ast.Call(func=ast.Attribute(attr=name)) if name in CALLS:
            new.func.attr = CALLS[name]
        case ast.Call(args=[_, _], func=ast.Attribute(attr="compose" | "act" | "transform")):
            new.args.reverse()
        case ast.Constant(value=bool()):
            new.value = not new.value
        case ast.Constant(value=int() | float()):
            new.value += 1 if isinstance(new.value, int) else new.value or 0.5
        case _:
            return None
    return new


def skip(node: ast.AST) -> bool:
    """What says nothing about numbers: messages of errors, `zip`'s strictness."""
    return isinstance(node, ast.Raise) or (isinstance(node, ast.keyword) and node.arg == "strict")


def mutants(source: str) -> Iterator[tuple[int, str]]:
    """(line, source) of every mutant: one a line, of the outermost thing that can be broken."""
    code = source.encode()  # the tree counts columns in bytes
    starts = [0, *accumulate(map(len, code.splitlines(keepends=True)))]
    seen: set[int] = set()
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for statement in function.body:
            skipped = {n for r in ast.walk(statement) if skip(r) for n in ast.walk(r)}
            for node in ast.walk(statement):
                if node in skipped or not isinstance(node, ast.expr) or node.lineno in seen:
                    continue
                new = changed(node)
                if new is None:
                    continue
                seen.add(node.lineno)
                first = starts[node.lineno - 1] + node.col_offset
                last = starts[node.end_lineno - 1] + node.end_col_offset
                mutant = code[:first] + f"({ast.unparse(new)})".encode() + code[last:]
                yield node.lineno, mutant.decode()


def noticed(tree: Path, tests: list[str]) -> bool:
    """Whether one of the tests fails on the package in `tree`, in a child of this process."""
    child = os.fork()
    if not child:
        import pytest

        os.setsid()
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(SECONDS)
        files = [f"tests/test_{name}.py" for name in tests]
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files]) != 0))
    return os.waitpid(child, 0)[1] != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", default=list(TESTS))
    asked = parser.parse_args()
    import hypothesis  # noqa: F401
    import scipy.ndimage  # noqa: F401
    import skimage.metrics  # noqa: F401
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "lga", tree / "lga", ignore=ignored)
        shutil.copytree(ROOT / "tests", tree / "tests", ignore=ignored)
        for other in ("results", "notebooks", "pyproject.toml", "README.md"):
            (tree / other).symlink_to(ROOT / other)
        for file in asked.files:
            source = (ROOT / file).read_text()
            if noticed(tree, TESTS[file]):
                sys.exit(f"the tests of {file} fail without any change")
            found = list(mutants(source))
            survivors = 0
            for line, mutant in found:
                (tree / file).write_text(mutant)
                if not noticed(tree, TESTS[file]):
                    survivors += 1
                    then = mutant.splitlines()[line - 1].strip()
                    print(f"{file}:{line} survived: {then}", flush=True)
            (tree / file).write_text(source)
            print(f"{file}: {len(found)} mutants, {survivors} survived", flush=True)


if __name__ == "__main__":
    main()
