"""The linear model by a Learner: one call to train it."""

from pierian.compat.fastai import *

TITLE = "Learner"
NEEDS = ("mnist", "PIL")
GOALS = {"accuracy": ">= 0.965", "epochs recorded": "== 10"}
SAMPLE = {"accuracy": ">= 0.92", "epochs recorded": "== 10"}


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
    learn = Learner(
        DataLoaders(dl, valid_dl),
        nn.Linear(28 * 28, 1),
        opt_func=SGD,
        loss_func=mnist_loss,
        metrics=batch_accuracy,
    )
    learn.fit(10, lr=1.0)
    accuracies = L(learn.recorder.values).itemgot(2)
    print(accuracies)
    return {"accuracy": accuracies[-1], "epochs recorded": len(accuracies)}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
