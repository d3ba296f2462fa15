"""What four programs share: 3s and 7s as rows of numbers in loaders, their loss, their measure."""

from pierian.compat.fastai import *


def digits(folder):
    """Flat images in rows, and a column of 1 for three, 0 for seven."""
    files = (folder / "3").ls() + (folder / "7").ls()
    x = torch.stack([tensor(Image.open(file)) for file in files]).float().view(-1, 28 * 28) / 255
    y = tensor([int(file.parent.name == "3") for file in files]).unsqueeze(1)
    return list(zip(x, y, strict=True))


def loaders():
    """One to train on and one to validate on, both in the order of the files."""
    path = untar_data(URLs.MNIST_SAMPLE)
    return DataLoaders(
        DataLoader(digits(path / "train"), batch_size=256),
        DataLoader(digits(path / "valid"), batch_size=256),
    )


def mnist_loss(predictions, targets):
    predictions = predictions.sigmoid()
    return torch.where(targets == 1, 1 - predictions, predictions).mean()


def batch_accuracy(predictions, targets):
    return ((predictions.sigmoid() > 0.5) == targets).float().mean()
