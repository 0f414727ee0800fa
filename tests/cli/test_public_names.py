"""The names at the top of the package: all there, typed, and free until used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import penchant


@pytest.mark.parametrize("name", penchant.__all__)
def test_every_public_name_is_there(name):
    assert getattr(penchant, name).__name__ == name
    assert name in dir(penchant)


def test_type_checkers_see_the_same_names_in_the_same_homes():
    tree = ast.parse(Path(penchant.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: line.module
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert seen == penchant._HOMES


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known():
    with pytest.raises(AttributeError, match="ConditionalLogit"):
        penchant.Nonsense  # noqa: B018 - the access is the test


def test_importing_the_package_loads_none_of_what_it_stands_on():
    code = (
        "import sys, penchant\n"
        "heavy = {'numpy', 'scipy', 'pyarrow', 'numba', 'torch', 'rich', 'jinja2'}\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
