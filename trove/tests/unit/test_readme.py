"""What the README shows is what the tree has."""

import re

from trove.tests.common import paths

README = (paths.ROOT / "README.md").read_text()


def test_the_example_is_a_real_scenario_test():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    scenario = paths.ROOT / "trove" / "tests" / "scenario"
    assert any(example in file.read_text() for file in scenario.glob("test_*.py"))


def test_every_make_target_that_it_names_exists():
    targets = set(re.findall(r"^([\w-]+):", (paths.ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([\w-]+)  ", README)) <= targets


def test_every_file_that_it_links_to_exists():
    linked = re.findall(r"\]\(([\w./-]+)\)", README)
    assert linked
    assert [name for name in linked if not (paths.ROOT / name).is_file()] == []
