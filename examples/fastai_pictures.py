"""Functions, digits and training curves, drawn."""

from pierian.compat.fastai import *

TITLE = "Pictures"
NEEDS = ("mnist", "PIL", "matplotlib")
GOALS = {"figures": "== 5", "digits shown": "== 8"}
SAMPLE = {"figures": "== 5", "digits shown": "== 8"}


def main() -> dict[str, float]:
    plt.close("all")
    plot_function(lambda x: x**2, "x", "x²", title="A parabola")
    plt.scatter(-1.5, 2.25, color="red")
    plot_function(torch.sigmoid, title="Sigmoid", min=-4, max=4)
    plot_function(F.relu, title="ReLU")

    files = (untar_data(URLs.MNIST_SAMPLE) / "valid" / "3").ls().sorted()[:8]
    show_images([tensor(Image.open(file)) for file in files], nrows=2, titles=files.attrgot("stem"))
    shown = sum(bool(ax.images) for ax in plt.gcf().axes)

    set_seed(0)
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    dl = DataLoader(list(zip(x, x**2, strict=True)), batch_size=20, shuffle=True)
    net = nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 1))
    learn = Learner(DataLoaders(dl, dl), net, loss_func=F.mse_loss, verbose=0)
    learn.fit(30, 0.01)
    learn.recorder.plot_loss()
    return {"figures": len(plt.get_fignums()), "digits shown": shown}


if __name__ == "__main__":
    print(main(), "beside", GOALS)
