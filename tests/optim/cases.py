"""Tables of the optim tests: rules, problems, schedules. Knows no framework.

`tools/make_optim_golden.py` reads this file too, in an environment with PyTorch: problems are
written with operators and methods that both have. A new rule needs a row in RULES and in CURVES.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RULES: dict[str, tuple[str, dict[str, Any]]] = {  # row -> class and settings
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "sgd dampening": ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.4}),
    "sgd nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    "sgd maximize": ("SGD", {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
    "rmsprop": ("RMSprop", {"lr": 0.02}),
    "rmsprop alpha": ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.05}),
    "rmsprop momentum": ("RMSprop", {"lr": 0.01, "momentum": 0.9}),
    "rmsprop centered": ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad decay": ("Adagrad", {"lr": 0.2, "lr_decay": 0.05, "weight_decay": 0.02}),
    "adagrad start": ("Adagrad", {"lr": 0.2, "initial_accumulator_value": 0.1, "eps": 1e-3}),
    "adadelta": ("Adadelta", {"lr": 1.0}),
    "adadelta rho": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.05}),
    "adam": ("Adam", {"lr": 0.05}),
    "adam betas": ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "adam beta1 0": ("Adam", {"lr": 0.02, "betas": (0.0, 0.99)}),
    "adam amsgrad": ("Adam", {"lr": 0.05, "betas": (0.9, 0.9), "amsgrad": True}),
    "adamw": ("AdamW", {"lr": 0.05}),
    "adamw decay": ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
}


@dataclass(frozen=True)
class Curve:
    """Settings that reach the minimum of a parabola and of Rosenbrock's function."""

    parabola: dict[str, Any]
    rosenbrock: dict[str, Any]
    steps: int = 600


CURVES = {
    "SGD": Curve({"lr": 0.1}, {"lr": 5e-3, "momentum": 0.9}),
    "RMSprop": Curve({"lr": 0.01}, {"lr": 1e-3, "momentum": 0.9}, 800),
    "Adagrad": Curve({"lr": 1.0}, {"lr": 0.5}),
    "Adadelta": Curve({"lr": 1.0}, {"lr": 0.3, "rho": 0.5}, 1500),
    "Adam": Curve({"lr": 0.1}, {"lr": 0.1}),
    "AdamW": Curve({"lr": 0.1, "weight_decay": 1e-5}, {"lr": 0.1, "weight_decay": 1e-5}),
}
MINIMUM = {"parabola": [1.5, -0.5], "rosenbrock": [1.0, 1.0]}
START = {"parabola": [-1.0, 2.0], "rosenbrock": [-0.5, 0.8]}


def parabola(p: Any) -> Any:
    """A bowl, 4 times as steep along the second axis."""
    return (p[0] - 1.5) ** 2 + 4.0 * (p[1] + 0.5) ** 2


def rosenbrock(p: Any) -> Any:
    """A bent valley with a flat floor; its walls are 10 times less steep than in the original."""
    return (1.0 - p[0]) ** 2 + 10.0 * (p[1] - p[0] ** 2) ** 2


STEPS = 100
CHECKPOINTS = (1, 2, 10, 100)
W0, B0 = [[0.3, -0.2], [0.0, 0.5], [-0.4, 0.1]], [0.1, -0.1]
X = [[(7 * i + 3 * j) % 11 / 5.0 - 1.0 for j in range(3)] for i in range(8)]
Y = [[float((i * i + j) % 3 == 0) for j in range(2)] for i in range(8)]


def logistic(w: Any, b: Any, x: Any, y: Any) -> Any:
    """Two logistic regressions at once: the mean of log(1 + e^z) - y·z."""
    z = x @ w + b
    return ((1.0 + z.exp()).log() - y * z).mean()


LENGTH = 24  # steps of every schedule
SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "constant": ("ConstantLR", {"factor": 0.25, "total_iters": 4}),
    "linear": ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 7}),
    "linear default": ("LinearLR", {}),
    "step": ("StepLR", {"step_size": 5, "gamma": 0.5}),
    "multistep": ("MultiStepLR", {"milestones": [3, 9, 9, 15], "gamma": 0.3}),
    "exponential": ("ExponentialLR", {"gamma": 0.9}),
    "polynomial": ("PolynomialLR", {"total_iters": 20, "power": 1.7}),
    "polynomial default": ("PolynomialLR", {}),
    "cosine": ("CosineAnnealingLR", {"T_max": 10}),
    "cosine floor": ("CosineAnnealingLR", {"T_max": 24, "eta_min": 0.01}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 7, "eta_min": 0.02}),
    "restarts longer": ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}),
    "one cycle": ("OneCycleLR", {"max_lr": 0.5, "total_steps": 24}),
    "one cycle epochs": ("OneCycleLR", {"max_lr": [0.5, 2.0], "epochs": 6, "steps_per_epoch": 4}),
    "one cycle linear": (
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 24, "pct_start": 0.25, "anneal_strategy": "linear"},
    ),
    "one cycle three": (
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 24, "div_factor": 10.0, "three_phase": True},
    ),
}
CYCLES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # rule, its settings, ours
    "sgd": ("SGD", {"momentum": 0.5}, {}),
    "adam": ("Adam", {}, {"pct_start": 0.5, "base_momentum": 0.6, "max_momentum": 0.9}),
    "adamw linear": ("AdamW", {}, {"anneal_strategy": "linear"}),
    "rmsprop three": ("RMSprop", {"momentum": 0.9}, {"three_phase": True}),
}
