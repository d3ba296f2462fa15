"""A linear model of 3s and 7s, every step of its training written out."""

from pierian.compat.fastai import *

TITLE = "Linear model by hand"
NEEDS = ("mnist", "PIL")
GOALS = {"accuracy": ">= 0.9651"}
SAMPLE = {"accuracy": ">= 0.92"}


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
    print(*(part.shape for part in first(dl)))
    weights = torch.randn((28 * 28, 1)).requires_grad_()
    bias = torch.randn(1).requires_grad_()

    def linear1(x):
        return x @ weights + bias

    accuracy = 0.0
    for _ in range(20):
        for x, y in dl:
            mnist_loss(linear1(x), y).backward()
            for p in (weights, bias):
                p.data -= p.grad * 1.0
                p.grad.zero_()
        batches = [batch_accuracy(linear1(x), y) for x, y in valid_dl]
        accuracy = torch.stack(batches).mean().item()
        print(f"{accuracy:.4f}", end=" ")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
