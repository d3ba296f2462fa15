"""Optimizer: what all update rules share. State, the step, checkpoints.

May import: base, core, ops, group. A rule is a subclass with three small methods: `slots` (which
tensors it keeps per parameter), `scalars` (the numbers of a step, once per group, in float64) and
`update` (new values from old ones, a pure function of tensors). To add one: see `rules.py`.

Everything that changes is a tensor, written in place: the moments, the step count, and the
settings of a group. So a whole training step traces to one graph, and what is changed between two
steps (a learning rate, loaded moments) is seen by the compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from pierian.base import trees
from pierian.base.dtypes import float64, is_floating
from pierian.base.errors import CheckpointError, DtypeError, GradError, lookup, message
from pierian.core.autodiff import enable_grad, no_grad, note_use
from pierian.core.tensor import Tensor, as_tensor, assign, bind, make
from pierian.ops.elementwise import where
from pierian.ops.operands import cast
from pierian.optim.group import TAGS, Group, check_setting

Pairs = Iterable[tuple[str, Tensor]] | Mapping[str, Tensor]
Params = Iterable[Tensor] | Pairs | Iterable[Mapping[str, Any]]
State = dict[str, Tensor]


def _renamed(settings: Mapping[str, Any], leave_out: Iterable[str] = ()) -> dict[str, Any]:
    """`settings` with lr for learning_rate."""
    own = {key: value for key, value in settings.items() if key not in leave_out}
    rate = own.pop("learning_rate", None)
    return own if rate is None else {**own, "lr": rate}


class Optimizer:
    """Base of all update rules.

    Args:    params    tensors, (name, tensor) pairs, a dict of named tensors, or groups: dicts
                       with "params" and settings of their own. None: `add_params` comes later.
             defaults  the settings of groups that have none of their own: the `locals()` of a
                       constructor. A learning_rate that is not None replaces lr.
    Raises:  ValueError for no or repeated parameters and settings out of range; TypeError,
             DtypeError, GradError for what is no tensor, not floating, no leaf.

    The state of a parameter is made at its first step with a gradient (or by `init_state`) and
    has the names that PyTorch uses. "step" counts steps from there on; parameters that begin
    together share one count. A parameter whose `grad` is None is left as it is.
    """

    compiled: ClassVar[bool] = True  # whether a step is nothing but operations on tensors
    decoupled: ClassVar[bool] = False  # decay shrinks the parameter, not added to the gradient

    def __init__(self, params: Params | None, defaults: Mapping[str, Any]) -> None:
        self.name = type(self).__name__
        self.defaults = _renamed(defaults, {"self", "params", "__class__"})
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        if params is None:
            Group(self.name, self.defaults)  # for its checks
            self.check(self.defaults)
        else:
            self.add_params(params)

    # What a rule says

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise ValueError for settings that do not go together."""

    def slots(self, group: Group) -> dict[str, float]:
        """Name and first value of each tensor that the rule keeps per parameter."""
        return {}

    def scalars(self, group: Group, t: Tensor) -> State:
        """The numbers that `update` needs at step `t` (1 is the first), 0-d float64 tensors.

        It gets the settings in any case; what is given here adds to them or replaces them.
        """
        return {}

    def update(self, p: Tensor, g: Tensor, s: State, k: State) -> tuple[Tensor, State]:
        """The new value of parameter `p` and of its slots `s`.

        Args:  g  the gradient, k  the scalars, in the dtype of p. Nothing is changed in place.
        """
        raise NotImplementedError

    # Parameters

    def add_params(self, params: Params) -> None:
        """Optimize more parameters, given in any form that the constructor takes."""
        if isinstance(params, Tensor):
            raise TypeError(
                message(self.name, "params must be a collection", "an iterable of tensors",
                        "one tensor", "Wrap it in a list")
            )  # fmt: skip
        given: list[Any] = list(params.items() if isinstance(params, Mapping) else params)
        if not given:
            raise self._empty("Call a model whose layers learn their sizes from data once first")
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    def _empty(self, fix: str) -> ValueError:
        must = "there must be something to optimize"
        return ValueError(message(self.name, must, "at least 1 parameter", "none", fix))

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimize more parameters: `{"params": tensors, "lr": 0.01}`, the rest by default."""
        own = _renamed(group)
        for key in own:
            lookup(self.name, "entry of a group", key, self.defaults.keys() | TAGS)
        given = own.pop("params", ())
        given = [given] if isinstance(given, Tensor) else list(given)
        pairs = [
            item if isinstance(item, tuple) else (str(i), item) for i, item in enumerate(given)
        ]
        seen = {id(p) for p in self._parameters()}
        for name, p in pairs:
            self._check_parameter(name, p, seen)
            seen.add(id(p))
        if pairs and isinstance(given[0], tuple):
            own["param_names"] = [name for name, _ in pairs]
        settings = {**self.defaults, **own}
        self.check(settings)
        entries = {"params": tuple(p for _, p in pairs), **settings}
        self.param_groups.append(Group(self.name, entries))

    def _check_parameter(self, name: str, p: Any, seen: set[int]) -> None:
        wrong: tuple[type[Exception], str, Any, str] | None = None
        if not isinstance(p, Tensor):
            wrong = TypeError, "a tensor", type(p).__name__, "Pass model.parameters() or a list"
        elif not is_floating(p.dtype):
            wrong = DtypeError, "a floating dtype", p.dtype, "Leave it out"
        elif not p.is_leaf:
            got = f"the result of {p.node.name}"
            wrong = GradError, "a leaf", got, "Optimize what it was computed from"
        elif id(p) in seen:
            wrong = ValueError, "each parameter once", "one given before", "Remove it here or there"
        if wrong:
            kind, expected, found, fix = wrong
            must = f"parameter {name} must be a floating leaf tensor"
            raise kind(message(self.name, must, expected, found, fix))

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def lr(self) -> Any:
        """The learning rate of the first group; assigning sets that of every group."""
        return self.param_groups[0]["lr"] if self.param_groups else self.defaults["lr"]

    @lr.setter
    def lr(self, value: Any) -> None:
        for group in self.param_groups:
            group["lr"] = value
        if not self.param_groups:
            self.defaults["lr"] = value

    learning_rate = lr  # Keras' name

    def __repr__(self) -> str:
        settings = self.param_groups[0].plain() if self.param_groups else self.defaults
        on = ", ".join(f"{k}={v}" for k, v in settings.items() if v and k not in TAGS)
        return f"{self.name}({len(self._parameters())} parameters, {on})"

    # The step

    @no_grad()
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for p in self._parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                assign(p.grad, bind("full", shape=p.shape, value=0.0, dtype=p.grad.dtype))

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None, *, when: Tensor | None = None) -> Any:
        """Update every parameter that has a gradient; give what `closure` returned.

        Args:  closure  called first, with gradients on: computes the loss and its gradients.
               when     0-d bool; where it is False, all stays as it is. For a step that is
                        compiled, and is to decide at every call.
        """
        if not self.param_groups:
            raise self._empty("Call add_params first")
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            together: dict[Tensor, list[tuple[Tensor, Tensor]]] = {}
            active = [(p, p.grad) for p in group["params"] if p.grad is not None]
            for _, g in active[:1]:
                note_use(f"{self.name}.step", g)
            self._begin(group, [p for p, _ in active])
            for p, g in active:
                count = self.state[p]["step"]
                together.setdefault(count, []).append((p, g))
            for count, members in together.items():
                counted = count + (1.0 if when is None else cast(when, float64))
                self._step(group, assign(count, counted), members, when)
        return loss

    def _step(
        self, group: Group, t: Tensor, members: list[tuple[Tensor, Tensor]], when: Tensor | None
    ) -> None:
        scalars = {key: x for key, x in group.items() if isinstance(x, Tensor)}
        scalars |= self.scalars(group, t)
        if self.decoupled and "weight_decay" in scalars:
            scalars["weight_decay"] = 1.0 - group["lr"] * group["weight_decay"]
        by_dtype: dict[np.dtype, State] = {}
        for p, g in members:
            if p.dtype not in by_dtype:
                by_dtype[p.dtype] = {name: cast(x, p.dtype) for name, x in scalars.items()}
            k, state, before = by_dtype[p.dtype], self.state[p], p
            if group.get("maximize"):
                g = -g
            if "weight_decay" in k:
                scaled = p * k["weight_decay"]
                before, g = (scaled, g) if self.decoupled else (before, g + scaled)
            after, slots = self.update(before, g, state, k)
            if when is not None:
                after = where(when, after, p)
                slots = {name: where(when, x, state[name]) for name, x in slots.items()}
            assign(p, after, f"{self.name}.step")
            for name, value in slots.items():
                assign(state[name], value)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Tensor]]) -> None:
        """One update by gradients that a `GradientTape` or `grad` gave.

        Args:    grads_and_vars  pairs, as zip(gradients, variables) gives them. Variables that
                                 are new are optimized from here on; those with None are left.
        Raises:  GradError when there is no gradient at all.

        >>> from pierian.core.tape import GradientTape
        >>> from pierian.optim import SGD
        >>> x = Tensor(3.0)
        >>> with GradientTape() as tape:
        ...     y = x * x
        >>> SGD(lr=0.5).apply_gradients([(tape.gradient(y, x), x)])
        >>> x.item()
        0.0
        """
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        if not pairs:
            raise GradError(
                message(f"{self.name}.apply_gradients", "a variable must have a gradient",
                        "pairs (gradient, variable)", "none", "Compute the loss inside the tape, "
                        "from these variables")
            )  # fmt: skip
        known = {id(v) for v in self._parameters()}
        new = [v.requires_grad_() for _, v in pairs if id(v) not in known]
        if new:
            self.add_params(new)
        self.zero_grad()
        for g, v in pairs:
            v.grad = g
        self.step()
        self.zero_grad()

    # State

    def init_state(self, step: float = 0.0) -> None:
        """Make the state of all parameters now, as if each had a gradient.

        Args:  step  how many steps to count as done, for rules whose first one is special.
        """
        for group in self.param_groups:
            self._begin(group, group["params"], make(np.array(step, float64)))

    def _begin(self, group: Group, params: Iterable[Tensor], count: Tensor | None = None) -> None:
        """Make the state that `params` lack: real memory, also while a graph is traced."""
        count = make(np.zeros((), float64)) if count is None else count
        for p in params:
            if p not in self.state:
                self.state[p] = {"step": count}
                for name, value in self.slots(group).items():
                    like = p.value if type(p.value) is np.ndarray else np.empty(p.shape, p.dtype)
                    self.state[p][name] = make(np.full_like(like, value))  # rows as those of p

    def state_dict(self) -> dict[str, Any]:
        """State and settings in PyTorch's structure; its tensors share memory with the state.

        {"state": {0: {"step": …, "exp_avg": …}}, "param_groups": [{"lr": …, "params": [0]}]}
        """
        number = {p: i for i, p in enumerate(self._parameters())}
        state = {number[p]: trees.map_tree(Tensor.detach, s) for p, s in self.state.items()}
        groups = [
            {**group.plain(), "params": [number[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    @no_grad()
    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over state and settings from a `state_dict`, this class' own or PyTorch's.

        Written in place, so that compiled steps see it. Settings unknown here are passed over.
        Raises:  CheckpointError naming all that does not fit; then nothing is loaded.
        """
        misfits = "; ".join(self._misfits(saved))
        if misfits:
            raise CheckpointError(
                message(f"{self.name}.load_state_dict", "saved state must fit", repr(self),
                        misfits, "Nothing was loaded; make the optimizer as it was saved")
            )  # fmt: skip
        for group, settings in zip(self.param_groups, saved["param_groups"], strict=True):
            for key in group.keys() & settings.keys() - TAGS:
                group[key] = settings[key]
            counts: dict[float, Tensor] = {}
            for number, p in zip(settings["params"], group["params"], strict=True):
                slots = _saved_slots(saved, number)
                if slots:
                    step = float(slots["step"])
                    self._begin(group, [p], counts.setdefault(step, make(np.array(step))))
                first = {"step": 0.0, **self.slots(group)}
                for name, tensor in self.state.get(p, {}).items():
                    value = slots[name] if slots else first[name]
                    whole = np.broadcast_to(value, tensor.shape)
                    assign(tensor, as_tensor(whole, tensor.dtype))

    def _misfits(self, saved: Mapping[str, Any]) -> Iterator[str]:
        sizes = [len(group["params"]) for group in self.param_groups]
        found = [len(group["params"]) for group in saved["param_groups"]]
        numbers = {number for group in saved["param_groups"] for number in group["params"]}
        if sizes != found:
            yield f"groups of {found} parameters instead of {sizes}"
            return
        for number in saved["state"].keys() - numbers:
            yield f"state of an unknown parameter {number!r}"
        for group, settings in zip(self.param_groups, saved["param_groups"], strict=True):
            for key in group.keys() & settings.keys() - TAGS:
                check_setting(self.name, key, settings[key])
                if not group.is_live(key) and group[key] != settings[key]:
                    yield f"{key}={settings[key]} instead of {group[key]}"
            steps: dict[Tensor, float] = {}
            for number, p in zip(settings["params"], group["params"], strict=True):
                slots = _saved_slots(saved, number)
                has = {name: np.shape(x) for name, x in slots.items()}
                wants = {"step": (), **dict.fromkeys(self.slots(group), p.shape)}
                if slots and has != wants:
                    yield f"parameter {number} with {has} instead of {wants}"
                elif p in self.state:
                    step = float(slots.get("step", 0.0))
                    if steps.setdefault(self.state[p]["step"], step) != step:
                        yield f"parameter {number} at step {step:g}, apart from those it began with"


def _saved_slots(saved: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The saved state of one parameter; {} for none."""
    slots = {name: x for name, x in saved["state"].get(number, {}).items() if x is not None}
    return {"step": 1.0, **slots} if slots else {}  # PyTorch's SGD keeps no count
