"""The runner of the examples, and one program through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import __main__ as runner

PROGRAM = """TITLE = "a program"
NEEDS = ({needs})
GOALS = {{"figure": [">= 1", "<= 2"]}}
{more}
def main(seed=0):
    print("it says this")
    return {{"figure": {figure}}}
"""


@pytest.mark.parametrize("program", runner.programs(), ids=lambda program: program.name)
def test_programs_say_what_they_need_and_reach_and_are_short(program: runner.Program) -> None:
    text = (runner.FOLDER / f"{program.name}.py").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= 60 and text.startswith('"""') and "def main(" in text
    assert program.TITLE and (goals := [*program.goals(False), *program.goals(True)])
    assert all(runner.holds(1.0, goal) in (True, False) for _, goal in goals)


@pytest.mark.parametrize(
    ("needs", "figure", "more", "sample", "rc", "said"),
    [
        ("", "2", "", False, 0, "ok"),
        ("", "3", "", False, 1, "MISSED"),
        ("", "float('nan')", "", False, 1, "MISSED"),
        ("", "1 / 0", "", False, 1, "ZeroDivisionError"),
        ('"no_such_package",', "1", "", False, 0, "skipped: needs no_such_package"),
        ("", "2 * seed", "SEEDS = 2", False, 0, "figure, mean of 2"),
        ("", "seed + 1", "SEEDS = 2", True, 0, "figure "),
        ('"mnist",', "1", "", True, 0, "has no goals for the bundled sample"),
        ("", "2", "SAMPLE = {}", True, 0, "has no goals for the bundled sample"),
        ("", "2", "SAMPLE = {}", False, 0, "ok"),
        ('"mnist",', "5", 'SAMPLE = {"figure": "== 5"}', True, 0, "== 5"),
    ],
)
def test_runner_checks_figures_in_a_process(
    needs: str, figure: str, more: str, sample: bool, rc: int, said: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "examples"
    folder.mkdir()
    for name in ("__init__.py", "__main__.py", "pictures.py"):
        (folder / name).write_text((runner.FOLDER / name).read_text(encoding="utf-8"))
    (folder / "one.py").write_text(PROGRAM.format(needs=needs, figure=figure, more=more))
    monkeypatch.setattr(runner, "FOLDER", folder)
    monkeypatch.setenv("PYTHONPATH", str(Path(runner.__file__).resolve().parents[1]))
    assert runner.main(["--sample"] * sample) == rc
    assert said in capsys.readouterr().out


def test_an_example_reaches_its_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["scratch_xor", "--loud"]) == 0
    out = capsys.readouterr().out
    assert "weights:" in out and "1 of 1" in out
