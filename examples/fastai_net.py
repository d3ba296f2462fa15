"""A first neural network: by hand, then of layers, then trained for 40 epochs."""

from pierian.compat.fastai import *

TITLE = "First net"
NEEDS = ("mnist", "PIL", "matplotlib")
GOALS = {"accuracy": ">= 0.98", "off the net by hand": "<= 1e-4"}
SAMPLE = {"accuracy": ">= 0.94", "off the net by hand": "<= 1e-4"}


def digits(folder):
    """Flat images in rows, and a column of 1 for three, 0 for seven."""
    files = (folder / "3").ls() + (folder / "7").ls()
    x = torch.stack([tensor(Image.open(file)) for file in files]).float().view(-1, 28 * 28) / 255
    y = tensor([int(file.parent.name == "3") for file in files]).unsqueeze(1)
    return list(zip(x, y, strict=True))


def mnist_loss(predictions, targets):
    predictions = predictions.sigmoid()
    return torch.where(targets == 1, 1 - predictions, predictions).mean()


def batch_accuracy(predictions, targets):
    return ((predictions.sigmoid() > 0.5) == targets).float().mean()


def main(seed: int = 0) -> dict[str, float]:
    set_seed(seed)
    path = untar_data(URLs.MNIST_SAMPLE)
    dl = DataLoader(digits(path / "train"), batch_size=256)
    valid_dl = DataLoader(digits(path / "valid"), batch_size=256)
    simple_net = nn.Sequential(nn.Linear(28 * 28, 30), nn.ReLU(), nn.Linear(30, 1))
    learn = Learner(
        DataLoaders(dl, valid_dl), simple_net, opt_func=SGD, loss_func=mnist_loss,
        metrics=batch_accuracy,
    )  # fmt: skip
    learn.fit(40, 0.1)
    plt.plot(L(learn.recorder.values).itemgot(2))

    (w1, b1), (w2, b2) = (simple_net[i].parameters() for i in (0, 2))

    def by_hand(x):
        res = (x @ w1.T + b1).max(tensor(0.0))
        return res @ w2.T + b2

    x, _ = first(valid_dl)
    return {
        "accuracy": learn.recorder.values[-1][2],
        "off the net by hand": (by_hand(x) - simple_net(x)).abs().max().item(),
    }


if __name__ == "__main__":
    print(main(), "beside", GOALS)
