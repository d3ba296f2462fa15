"""The linear model again, as a module, with an optimizer of our own and with SGD."""

from pierian.compat.fastai import *

TITLE = "Optimizer and module"
NEEDS = ("mnist", "PIL")
GOALS = {"own optimizer": ">= 0.975", "SGD": ">= 0.975", "difference of weights": "<= 1e-4"}
SAMPLE = {"own optimizer": ">= 0.92", "SGD": ">= 0.92"}


class BasicOptim:
    def __init__(self, params, lr):
        self.params, self.lr = list(params), lr

    def step(self):
        for p in self.params:
            p.data -= p.grad.data * self.lr

    def zero_grad(self):
        for p in self.params:
            p.grad = None


def digits(folder):
    files = (folder / "3").ls() + (folder / "7").ls()
    x = torch.stack([tensor(Image.open(file)) for file in files]).float().view(-1, 28 * 28) / 255
    return list(zip(x, tensor([[file.parent.name == "3"] for file in files]), strict=True))


def mnist_loss(predictions, targets):
    p = predictions.sigmoid()
    return torch.where(targets == 1, 1 - p, p).mean()


def batch_accuracy(predictions, targets):
    return ((predictions.sigmoid() > 0.5) == targets).float().mean()


def train(model, opt, dl, valid_dl, epochs):
    for _ in range(epochs):
        for x, y in dl:
            mnist_loss(model(x), y).backward()
            opt.step()
            opt.zero_grad()
    return torch.stack([batch_accuracy(model(x), y) for x, y in valid_dl]).mean().item()


def main(seed: int = 0) -> dict[str, float]:
    path = untar_data(URLs.MNIST_SAMPLE)
    dl, valid_dl = (DataLoader(digits(path / part), batch_size=256) for part in ("train", "valid"))
    figures, learned = {}, []
    for name, make in (("own optimizer", BasicOptim), ("SGD", SGD)):
        set_seed(seed)
        learned.append(model := nn.Linear(28 * 28, 1))
        figures[name] = train(model, make(model.parameters(), 1.0), dl, valid_dl, 20)
    return figures | {"difference of weights": F.l1_loss(*(m.weight for m in learned)).item()}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
