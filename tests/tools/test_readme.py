"""The README checker, on small synthetic pages, and on our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import readme

JOB = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/pierian train mnist"
TEST = "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/python -m pytest"


def page(*commands: str) -> str:
    """A README with one shell block per command."""
    return "# Title\n" + "".join(f"\nText.\n\n```sh\n{line}\n```\n" for line in commands)


def test_two_commands_are_found_in_order() -> None:
    assert readme.commands(page(JOB, TEST)) == (JOB, TEST)


def test_blocks_below_the_top_may_hold_other_commands() -> None:
    text = page(JOB, TEST) + "\n" * readme.TOP + "```sh\npierian info\n```\n"
    assert readme.commands(text) == (JOB, TEST)


@pytest.mark.parametrize(
    "text",
    [
        page(JOB),
        page(JOB, TEST, "python3 -m venv .venv && .venv/bin/pip install build"),
        page(f"{JOB}\n{TEST}"),
        page(JOB, f"sudo apt install something\n{TEST}"),
        "\n" * readme.TOP + page(JOB, TEST),
        page(JOB, TEST) + "```bash\npierian info\n```\n",
        page(JOB, "pip install '.[test]' && pytest"),
    ],
    ids=["one", "three", "one block", "two lines", "too far down", "bash", "no venv"],
)
def test_any_other_number_of_commands_is_an_error(text: str) -> None:
    with pytest.raises(readme.ReadmeError, match="README.md: "):
        readme.commands(text)


def test_blocks_know_their_language_and_line() -> None:
    found = readme.blocks("a\n\n```python\nx = 1\n```\n\n```\nplain\n```\n")
    assert found == [readme.Block("python", 4, "x = 1\n"), readme.Block("", 8, "plain\n")]


def test_examples_of_a_page_share_names(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```python\nx = 20\n```\n\n```python\n>>> y = x + 1\n>>> y\n21\n```\n")
    assert readme.run(path) == 0
    path.write_text(path.read_text() + "\n```python\nassert y == 21\n```\n")
    assert readme.run(path) == 0


def test_wrong_example_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.md"
    path.write_text("text\n\n```python\n>>> 1 + 1\n3\n```\n")
    assert readme.run(path) == 1
    assert 'page.md", line 4' in capsys.readouterr().out


def test_our_readme_has_its_two_commands() -> None:
    text = (readme.REPOSITORY / "README.md").read_text(encoding="utf-8")
    job, test = readme.commands(text)
    assert job.endswith("pierian train mnist")
    assert test.endswith("python -m pytest")
