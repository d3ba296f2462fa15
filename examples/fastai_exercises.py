"""Small things to try, with `pierian` under the name `torch`."""

import pierian as torch
from pierian.compat.fastai import DataLoader, L, first, set_seed, string, tensor

TITLE = "Exercises"
NEEDS = ()
GOALS = {"right": "== 7", "w of 2·x + 1": [">= 1.99", "<= 2.01"]}


def fit_line():
    """A loop in words (predict, loss, gradient, step, forget), made real."""
    x = torch.linspace(-1, 1, 50)
    y = 2 * x + 1
    w, b = torch.zeros(1).requires_grad_(), torch.zeros(1).requires_grad_()
    for _ in range(100):
        loss = ((w * x + b - y) ** 2).mean()
        loss.backward()
        for p in (w, b):
            p.data -= 0.5 * p.grad
            p.grad = None
    return w.item()


def main() -> dict[str, float]:
    set_seed(0)
    square = tensor(range(1, 10)).view(3, 3)
    doubled = square * 2
    letters = L(enumerate(string.ascii_lowercase))
    numbers, words = first(DataLoader(letters, batch_size=6, shuffle=True))
    batches = list(DataLoader(range(15), batch_size=5, shuffle=True))
    pairs = list(zip(tensor([1, 2, 3]), L("a", "b", "c"), strict=True))
    checks = [
        square.shape == (3, 3),
        doubled.tolist() == [[2, 4, 6], [8, 10, 12], [14, 16, 18]],
        doubled[1:, 1:].tolist() == [[10, 12], [16, 18]],  # the corner at the lower right
        [string.ascii_lowercase[i] for i in numbers] == list(words),
        sorted(int(i) for batch in batches for i in batch) == list(range(15)),
        pairs[1][0].item() == 2 and pairs[1][1] == "b",
        L((0.9, 0.1), (0.5, 0.2)).itemgot(1) == [0.1, 0.2],
    ]
    print(square, doubled, numbers, words, *batches, sep="\n")
    return {"right": sum(checks), "w of 2·x + 1": fit_line()}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
