"""Gradient descent bends a parabola until it goes through noisy points."""

from pierian.compat.fastai import *

TITLE = "SGD on a curve"
NEEDS = ("matplotlib",)
GOALS = {"steps that lowered the loss": "== 200", "loss": "<= 640", "off plain NumPy": "<= 1e-3"}


def f(t, params):
    a, b, c = params
    return a * (t**2) + (b * t) + c


def mse(preds, targets):
    return ((preds - targets) ** 2).mean()


def by_hand(t, y, params, lr, steps):
    """The same descent with its gradient written out, in NumPy and float64."""
    powers = np.stack([t**2, t, np.ones_like(t)])
    for _ in range(steps):
        params = params - lr * 2 * powers @ (params @ powers - y) / len(t)
    return ((params @ powers - y) ** 2).mean()


def main() -> dict[str, float]:
    set_seed(3)
    time = torch.arange(0, 20).float()
    speed = torch.randn(20) * 3 + 0.75 * (time - 9.5) ** 2 + 1
    params = torch.randn(3).requires_grad_()
    start, lr, losses = to_np(params).astype(float), 1e-5, []
    _, axes = plt.subplots(1, 4, figsize=(12, 3))
    for step in range(201):
        preds = f(time, params)
        loss = mse(preds, speed)
        loss.backward()
        losses.append(loss.item())
        if step % 60 == 0:
            axes[step // 60].scatter(time, speed)
            axes[step // 60].scatter(time, to_np(preds), color="red")
        params.data -= lr * params.grad.data
        params.grad = None
    expected = by_hand(to_np(time).astype(float), to_np(speed), start, lr, 200)
    return {
        "steps that lowered the loss": sum(b < a for a, b in zip(losses, losses[1:], strict=False)),
        "loss": losses[-1],
        "off plain NumPy": abs(losses[-1] - expected) / expected,
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
