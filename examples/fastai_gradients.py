"""Gradients: asked for, computed, added up, and forgotten."""

from pierian.compat.fastai import *

TITLE = "Gradients"
NEEDS = ()
GOALS = {
    "slope of x² at 3": "== 6",
    "off [6, 8, 20]": "== 0",
    "after twice": "== 12",
    "zeroed": "== 0",
}


def f(x):
    return (x**2).sum()


def main() -> dict[str, float]:
    x = tensor(3.0).requires_grad_()
    y = f(x)
    print(y)
    y.backward()
    slope = x.grad.item()
    f(x).backward()  # gradients add up until they are forgotten
    twice = x.grad.item()
    x.grad.zero_()

    three = tensor([3.0, 4.0, 10.0]).requires_grad_()
    f(three).backward()
    print(three.grad)

    params = torch.randn(3).requires_grad_()
    a, b, c = params  # taking a leaf apart keeps the way back to it
    (a + 2 * b + 3 * c).backward()
    params.data -= 0.1 * params.grad.data
    params.grad = None
    return {
        "slope of x² at 3": slope,
        "after twice": twice,
        "zeroed": x.grad.item(),
        "off [6, 8, 20]": (three.grad - tensor([6, 8, 20])).abs().sum().item(),
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
