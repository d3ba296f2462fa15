"""The project's own checkers: each file is one command, run as `python tools/<name>.py`.

May import: the standard library only, so that a checker runs before anything is installed. To add
one: a file with `main(argv) -> int`, a line in `.ci/run`, a row in CONTRIBUTING.md, a test in
`tests/tools/`.
"""
