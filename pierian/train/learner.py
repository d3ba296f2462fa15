"""Learner: fastai's face of the training loop. Thin: it makes a recipe, and callbacks.

May import: base, core, nn, optim, data, and this room. A way of training is a method that chooses
learning rates and calls `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any, ClassVar

import numpy as np

from pierian import io, optim
from pierian.base.errors import CheckpointError, message
from pierian.core.autodiff import no_grad
from pierian.core.tensor import Tensor, as_tensor
from pierian.data.loader import DataLoader
from pierian.data.loaders import DataLoaders
from pierian.data.order import whole
from pierian.metrics import Mean
from pierian.nn.module import Module
from pierian.optim.schedule import OneCycleLR
from pierian.train import losses
from pierian.train import recipe as recipes
from pierian.train.callback import Callback, Events
from pierian.train.callbacks import Progress, Recorder, Scheduler
from pierian.train.callbacks.checkpoint import open_checkpoint
from pierian.train.feed import Feed, Form, open_feed
from pierian.train.fit import dtype_of, prepare, train
from pierian.train.loop import Loop
from pierian.train.lr_find import RangeTest, range_test
from pierian.train.run import Run, modes_kept
from pierian.train.steps import Block

Rates = float | slice | list[float]
DIVIDE = 10  # what the learning rate of all groups but the last is divided by, for slice(lr)


class Learner:
    """A model with its data, loss and optimizer, and ways to train it; fastai's names.

    Args:    dls        loaders to train and to validate on.
             model      the module.
             loss_func  a name, a module or function of `nn`, or your own function of
                        (prediction, target). None: by the targets, "cross_entropy" for integers
                        and "mse" for floats.
             opt_func   what makes an optimizer of groups of parameters and lr=; a class, or
                        `partial(optim.SGD, momentum=0.9)`. A class of your own is made of
                        (params, lr), and has `step()` and `zero_grad()`. None: `optim.Adam`.
             lr         learning rate where a method is not given one.
             metrics    names, metrics or functions of (prediction, target), measured on what is
                        held out; on what is trained on where nothing is.
             cbs        callbacks of every fit.
             splitter   model -> groups of parameters, from the input to the output, which may be
                        frozen and have learning rates of their own. By default the layers with
                        parameters but the last, and that one.
             wd         weight decay; None: the optimizer's.
             moms       momenta at the beginning, the middle and the end of one cycle.
             verbose    0, 1, 2 or "auto", as in `fit`.
             jit        as in `compile`.

    `recorder` has what the last fit left: `values`, `losses`, `plot_loss` and more.

    >>> import numpy as np
    >>> import pierian as pr
    >>> _ = pr.manual_seed(0)
    >>> x = np.linspace(-1, 1, 256, dtype="float32")[:, None]
    >>> dls = pr.data.DataLoaders.from_arrays(x, 3 * x + 1, batch_size=32)
    >>> learn = Learner(dls, pr.nn.Sequential(pr.nn.Linear(1, 1)), "mse", verbose=0)
    >>> learn.fit_one_cycle(20, 0.2)
    >>> learn.validate()[0] < 0.05
    True
    """

    usual_opt: ClassVar[Callable[..., Any]] = optim.Adam  # of learners that are told none

    def __init__(
        self, dls: DataLoaders, model: Module, loss_func: Any = None,
        opt_func: Callable[..., Any] | None = None, lr: Rates = 1e-3,
        splitter: Callable[[Module], Iterable[Iterable[Tensor]]] | None = None, cbs: Any = None,
        metrics: Any = None, wd: float | None = None,
        moms: tuple[float, float, float] | None = (0.95, 0.85, 0.95), *, verbose: Any = "auto",
        jit: Any = "auto",
    ) -> None:  # fmt: skip
        where = "Learner"
        for name, value, kind in (("dls", dls, DataLoaders), ("model", model, Module)):
            if not isinstance(value, kind):
                raise TypeError(
                    message(where, f"{name} must be what it is called", kind.__name__,
                            f"a {type(value).__name__}", "Pass Learner(DataLoaders(train, valid), "
                            "model, loss_func)")
                )  # fmt: skip
        if isinstance(opt_func, optim.Optimizer):
            raise TypeError(
                message(where, "opt_func makes the optimizer", "opt_func=SGD", opt_func,
                        "Pass what makes it, and settings as partial(SGD, momentum=0.9)")
            )  # fmt: skip
        self.dls, self.model, self.lr = dls, model, lr
        self.opt_func = self.usual_opt if opt_func is None else opt_func
        self.splitter, self.wd, self.moms = splitter or body_and_head, wd, moms
        self.cbs = _listed(cbs)
        self.verbose, self.jit = verbose, jit
        self.recorder = Recorder()
        self.frozen = 0  # groups
        self._loss, self._metrics = loss_func, metrics
        self._recipe: Any = None

    # Training

    def fit(
        self, n_epoch: int, lr: Rates | None = None, wd: float | None = None, cbs: Any = None,
        start_epoch: int = 0, *, resume: Any = None,
    ) -> None:  # fmt: skip
        """Train for `n_epoch` epochs.

        Args:  lr           one for all groups; slice(a, b): from a for the first group to b for
                            the last, in equal ratios; slice(b): b for the last, a tenth of it for
                            the others; or a list.
               wd           weight decay.
               cbs          callbacks of this fit.
               start_epoch  epochs that are done already.
               resume       as in `pierian.train.fit`.
        """
        self._prepare(lr, wd)
        arguments = {"n_epoch": n_epoch, "lr": self._now(), "wd": wd, "start_epoch": start_epoch}
        self._fit("fit", arguments, _listed(cbs), resume)

    def fit_one_cycle(
        self, n_epoch: int, lr_max: Rates | None = None, div: float = 25.0,
        div_final: float = 1e5, pct_start: float = 0.25, wd: float | None = None,
        moms: tuple[float, float, float] | None = None, cbs: Any = None, start_epoch: int = 0, *,
        resume: Any = None,
    ) -> None:  # fmt: skip
        """Train with the one-cycle policy: up from lr_max/div to lr_max, down to lr_max/div_final.

        Momentum (or the first beta) goes the other way, as `moms` say.
        Args:    pct_start  share of the steps that go up. The others as in `fit`.
        Source:  Smith and Topin 2018, arXiv:1708.07120, with fastai's defaults.
        """
        self._prepare(lr_max, wd)
        steps = self._steps("fit_one_cycle") * n_epoch
        moms = self.moms if moms is None else moms

        def cycle(optimizer: optim.Optimizer) -> OneCycleLR:
            peaks = [float(group["lr"]) for group in optimizer.param_groups]
            return OneCycleLR(optimizer, peaks, steps, pct_start=pct_start, div_factor=div,
                              final_div_factor=div_final / div, moms=moms)  # fmt: skip

        arguments = {
            "n_epoch": n_epoch, "lr_max": self._now(), "div": div, "div_final": div_final,
            "pct_start": pct_start, "wd": wd, "moms": moms, "start_epoch": start_epoch,
        }  # fmt: skip
        self._fit("fit_one_cycle", arguments, [*_listed(cbs), Scheduler(cycle)], resume)

    def fine_tune(
        self, epochs: int, base_lr: float = 2e-3, freeze_epochs: int = 1, lr_mult: float = 100.0,
        pct_start: float = 0.3, div: float = 5.0, **options: Any,
    ) -> None:  # fmt: skip
        """Train the last group alone for `freeze_epochs`, then all with rates that grow with depth.

        Args:  lr_mult  how many times smaller the learning rate of the first group is. The others,
                        and `options`, as in `fit_one_cycle`.
        """
        self.freeze()
        self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99, **options)
        base_lr /= 2
        self.unfreeze()
        rates = slice(base_lr / lr_mult, base_lr)
        self.fit_one_cycle(epochs, rates, pct_start=pct_start, div=div, **options)

    def resume(self, path: Any, cbs: Any = None) -> None:
        """Go on exactly with the `fit` or `fit_one_cycle` that left a checkpoint.

        Args:    path  the checkpoint, or the folder of a ModelCheckpoint.
                 cbs   the callbacks of that fit, made anew.
        Raises:  CheckpointError when there is none, or it was left by other means.
        """
        saved = open_checkpoint("Learner.resume", path, []) or {}
        plan = saved.get("plan")
        if plan is None:
            raise CheckpointError(
                message("Learner.resume", "the checkpoint must be of a Learner's fit", "its plan",
                        "none", "Call fit with the arguments it had, and resume=path")
            )  # fmt: skip
        self.freeze_to(plan["frozen"])
        getattr(self, plan["method"])(**plan["arguments"], cbs=cbs, resume=path)

    def lr_find(
        self, start_lr: float = 1e-7, end_lr: float = 10.0, num_it: int = 100,
        stop_div: bool = True, suggest: str = "valley",
    ) -> RangeTest:  # fmt: skip
        """Try learning rates that grow from step to step; everything is as before afterwards.

        Args:     stop_div  stop when the loss has become four times the best.
                  suggest   "valley", "steep" or "minimum".
        Returns:  the curve and the suggestion; `plot()` draws it.
        Source:   Smith 2017, arXiv:1506.01186.
        """
        self._prepare(None, None)
        feed = self._feed(self.dls.train, "lr_find")
        run = Run(self.model, self._recipe, feed, training=True, metrics=[])
        return range_test(run, self.cbs, start_lr, end_lr, num_it, stop_div, suggest)

    # Groups

    def freeze_to(self, n: int) -> None:
        """Train the groups from number `n` on only; -1 is the last."""
        groups = self._split()
        self.frozen = range(len(groups))[n]
        for i, group in enumerate(groups):
            for p in group:
                p.requires_grad_(i >= self.frozen)

    def freeze(self) -> None:
        """Train the last group only."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train all groups."""
        self.freeze_to(0)

    # What has been learned

    def validate(self, dl: Any = None, cbs: Any = None) -> list[float]:
        """The loss and the metrics, on what is held out or on another loader."""
        return list(self._evaluate(dl, cbs).values())

    def get_preds(
        self, dl: Any = None, *, with_loss: bool = False, act: Callable[[Any], Any] | None = None
    ) -> tuple[np.ndarray, ...]:
        """Predictions and targets, on what is held out or on another loader, in its order.

        Args:     with_loss  the loss of each example too.
                  act        what is made of the predictions, such as `pr.softmax`.
        Returns:  arrays (n, ...), (n, ...) and, when asked for, (n,).
        """
        blocks: list[tuple[Any, ...]] = []

        def add(block: Block) -> None:
            parts = [np.array(block.pred), block.target]
            if with_loss:
                with no_grad():
                    pred, target = as_tensor(parts[0]), as_tensor(parts[1])
                    parts.append(np.asarray(self._recipe.loss.each(target, pred, (len(block),))))
            blocks.append(tuple(parts))

        self._evaluate(dl, None, add)
        pred, *rest = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        if act is not None:
            with no_grad():
                pred = np.asarray(act(as_tensor(pred)))
        return (pred, *rest)

    def predict(self, x: Any) -> np.ndarray:
        """The outputs for rows of inputs; see `pierian.train.predict`."""
        return self.model.predict(x, verbose=0)

    def show_results(self, max_n: int = 9, path: Any = None) -> Any:
        """Some examples that were held out, with target and prediction, as a figure."""
        from pierian import viz

        dl = self._loader(None)
        x = np.asarray(_first(dl)[0])[:max_n]
        y = np.asarray(_first(dl)[1])[:max_n]
        pred = self.predict(x)
        classes = pred.ndim > 1 and pred.shape[-1] > 1 and y.ndim == 1
        said = pred.argmax(-1) if classes else pred.reshape(len(pred), -1)[:, 0]
        titles = [f"{t} → {p}" if classes else f"{t:.3g} → {p:.3g}" for t, p in
                  zip(y.reshape(len(y), -1)[:, 0], said, strict=True)]  # fmt: skip
        return viz.show_images(x, titles, path=path)

    def summary(self) -> Any:
        """The layers with output shapes, parameters and FLOPs, for a batch of the data."""
        return self.model.summary(np.asarray(self.dls.one_batch()[0]))

    def save(self, path: Any) -> None:
        """Write the weights; `load` reads them. For the model itself: `model.save`."""
        io.save_weights(self.model, path)

    def load(self, path: Any) -> None:
        """Read weights that `save` wrote, or those in a model or a checkpoint."""
        io.load_weights(self.model, path)

    def __repr__(self) -> str:
        loss = self._recipe.loss.name if self._recipe else self._loss
        return f"Learner({type(self.model).__name__}, loss={loss}, lr={self.lr})"

    def _repr_html_(self) -> str:
        table = self.recorder._repr_html_() if self.recorder.epoch else ""
        return f"<p>{escape(repr(self))}</p>{table}"

    # What they share

    def _split(self) -> list[list[Tensor]]:
        if not self.model.built:
            self._feed(self.dls.train, "Learner")  # for its checks
            self.model.build(np.asarray(self.dls.one_batch()[0]))
        return [list(group) for group in self.splitter(self.model)]

    def _prepare(self, lr: Rates | None, wd: float | None) -> None:
        """A recipe with an optimizer of the groups, and the learning rates of this fit."""
        wd = self.wd if wd is None else wd
        if self._recipe is None or not self._decays(wd):
            groups = [{"params": group} for group in self._split()]
            settings = {} if wd is None else {"weight_decay": wd}
            first = self._rates(self.lr, len(groups))[-1]
            optimizer = optim.get(self.opt_func, groups, lr=first, **settings)
            loss = self._loss if self._loss is not None else _usual(self.dls.one_batch())
            given = losses.get(loss, ours=True)
            measured = [_measure(metric) for metric in _listed(self._metrics)]
            recipe = recipes.Recipe(self.model, optimizer, given, measured, self.jit)
            self._recipe = recipe
            vars(self.model).update({recipes.KEY: recipe, "optimizer": recipe.optimizer})
        groups = self._recipe.optimizer.param_groups
        rates = self._rates(self.lr if lr is None else lr, len(groups))
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate

    def _decays(self, wd: float | None) -> bool:
        """Whether the optimizer has this weight decay, or now gets it."""
        if wd is None:
            return True
        groups = self._recipe.optimizer.param_groups
        for group in groups:
            if group.is_live("weight_decay") and wd:
                group["weight_decay"] = wd
        return all(float(group.get("weight_decay", 0.0)) == wd for group in groups)

    def _rates(self, lr: Rates, count: int) -> list[float]:
        """The learning rate of each group."""
        if isinstance(lr, slice):
            if lr.start is None:
                return [lr.stop / DIVIDE] * (count - 1) + [lr.stop]
            return np.geomspace(lr.start, lr.stop, count).tolist() if count > 1 else [lr.stop]
        if isinstance(lr, list | tuple):
            if len(lr) != count:
                raise ValueError(
                    message("Learner", "there must be a learning rate for each group", count,
                            len(lr), "Pass one number, or slice(first, last)")
                )  # fmt: skip
            return list(lr)
        return [float(lr)] * count

    def _now(self) -> list[float]:
        """The learning rates of the groups."""
        return [float(group["lr"]) for group in self._recipe.optimizer.param_groups]

    def _fit(
        self, method: str, arguments: dict[str, Any], cbs: list[Callback], resume: Any
    ) -> None:
        where = f"Learner.{method}"
        start = arguments["start_epoch"]
        n_epoch = arguments["n_epoch"]
        last = whole(where, "n_epoch", n_epoch, least=0, fix="Pass n_epoch=5")
        feed = self._feed(self.dls.train, where)
        held = None if self.dls.valid is None else self._feed(self.dls.valid, where)
        metrics: list[Any] | None = None if held is None else []
        run = Run(self.model, self._recipe, feed, start, last, training=True, metrics=metrics)
        run.plan = {"method": method, "arguments": arguments, "frozen": self.frozen}
        progress = Progress(self.verbose, table=True)
        recorder = Recorder()
        self.recorder = recorder
        params = {"epochs": last, "steps": feed.steps, "verbose": self.verbose}
        callbacks = [*self.cbs, *cbs]
        train(where, run, callbacks, params, [recorder, progress], held, resume=resume)

    def _feed(self, loader: Any, where: str) -> Feed:
        form = Form(where, dtype_of(self.model), quiet=self.verbose == 0)
        return open_feed(form, loader)

    def _loader(self, dl: Any) -> Any:
        chosen = dl if dl is not None else self.dls.valid
        return self.dls.train if chosen is None else chosen

    def _evaluate(self, dl: Any, cbs: Any, add: Any = None) -> dict[str, float]:
        where = "Learner.validate"
        if self._recipe is None:
            self._prepare(None, None)
        loader = self._loader(dl)
        if isinstance(loader, DataLoader):
            epoch = loader.epoch
        feed = self._feed(loader, where)
        prepare(where, self.model, self._recipe, feed)
        progress = Progress(0)
        events = Events(where, [*self.cbs, *_listed(cbs)], self.model, {}, progress)
        try:
            with modes_kept(self.model):
                return Loop(where, Run(self.model, self._recipe, feed), events).evaluate(add)
        finally:
            if isinstance(loader, DataLoader):
                loader.epoch = epoch

    def _steps(self, where: str) -> int:
        steps = self._feed(self.dls.train, where).steps
        if steps is None:
            raise ValueError(
                message(where, "it must be known how many batches an epoch has", "a loader with a "
                        "length", f"a {type(self.dls.train).__name__}", "Pass a DataLoader")
            )  # fmt: skip
        return steps


def body_and_head(model: Module) -> list[list[Tensor]]:
    """The parameters of all parts of a model but the last that has some, and of that one."""
    every: list[Tensor] = list(model.parameters())
    parts = [list(child.parameters()) for _, child in model.named_children()]
    head = next((part for part in reversed(parts) if part), every)
    known = {id(p) for p in head}
    body = [p for p in every if id(p) not in known]
    return [body, list(head)] if body else [every]


def _usual(batch: Any) -> str:
    """The loss for targets of this kind."""
    return "cross_entropy" if np.asarray(batch[1]).dtype.kind in "iub" else "mse"


def _measure(metric: Any) -> Any:
    """A metric; of a function, which takes (prediction, target), its mean."""
    return Mean(metric) if losses.is_foreign(metric) and not isinstance(metric, type) else metric


def _listed(given: Any) -> list[Any]:
    if given is None or isinstance(given, str) or not isinstance(given, Iterable):
        return [] if given is None else [given]
    return list(given)


def _first(loader: Any) -> Any:
    return DataLoaders(loader).one_batch()
