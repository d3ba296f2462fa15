"""Further: all ten digits, and a learner of our own beside the one that is there."""

from pierian.compat.fastai import *

TITLE = "Ten digits, own Learner"
NEEDS = ("mnist", "PIL")
GOALS = {"own learner": ">= 0.97", "Learner": ">= 0.97"}
SAMPLE = {"own learner": ">= 0.92", "Learner": ">= 0.92"}
SEEDS = 3


class OwnLearner:
    """The chapter's loop, kept together."""

    def __init__(self, dls, model, opt_func, loss_func, metrics):
        self.dls, self.model, self.opt_func = dls, model, opt_func
        self.loss_func, self.metric = loss_func, metrics

    def fit(self, epochs, lr):
        opt = self.opt_func(self.model.parameters(), lr)
        for epoch in range(epochs):
            for x, y in self.dls.train:
                self.loss_func(self.model(x), y).backward()
                opt.step()
                opt.zero_grad()
            with torch.no_grad():
                held = [self.metric(self.model(x), y) for x, y in self.dls.valid]
            print(epoch, torch.stack(held).mean())


def digits(folder):
    """Flat images, and which digit each is."""
    files = (folder.ls().sorted().map(Path.ls)).concat()
    x = torch.stack([tensor(Image.open(file)) for file in files]).float().view(-1, 28 * 28) / 255
    return list(zip(x, tensor([int(file.parent.name) for file in files]), strict=True))


def main(seed: int = 0) -> dict[str, float]:
    set_seed(seed)
    path = untar_data(URLs.MNIST)
    dl = DataLoader(digits(path / "training"), batch_size=256, shuffle=True)
    dls = DataLoaders(dl, DataLoader(digits(path / "testing"), batch_size=256))
    figures = {}
    for name, kind in {"own learner": OwnLearner, "Learner": Learner}.items():
        net = nn.Sequential(nn.Linear(28 * 28, 100), nn.ReLU(), nn.Linear(100, 10))
        learn = kind(dls, net, opt_func=SGD, loss_func=F.cross_entropy, metrics=accuracy)
        learn.fit(8, 0.5)
        learn.fit(3, 0.05)  # small steps settle
        figures[name] = torch.stack([accuracy(net(x), y) for x, y in dls.valid]).mean().item()
    return figures


if __name__ == "__main__":
    print(main(), "beside", GOALS)
