"""One step of a training: a batch, its gradients, the optimiser, and the sums for the curve."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.optim.sgd import sgd

from regnetlab.models.flat import FlatParameters, views
from regnetlab.models.native.engine import NativeAnyNet
from regnetlab.training.batches import Batches
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.devices import HALF, NATIVE, TORCH, is_gpu, precision
from regnetlab.training.graphs import EAGER, GRAPH, Graphed
from regnetlab.training.prepared import heads

AUXILIARY_WEIGHT = 0.3
"""What an auxiliary classifier's loss counts beside the network's own (Szegedy et al. 2015, section 5)."""


class Step:
    """Takes the steps of a training, one after another.

    Attributes:
        optimizer: Of the parameters' two vectors.
        loss_sum: Over batches since someone set it to 0; an incomplete batch counts for its share.
        wrong_sum: Wrong answers, likewise.
        average: Of the parameters, where the recipe has one.
    """

    def __init__(
        self, model: nn.Module, flat: FlatParameters, batches: Batches, budget: Budget, recipe: Recipe
    ) -> None:
        self._model, self._flat, self._batches = model, flat, batches
        self._budget, self._recipe = budget, recipe
        self.device = device = flat.values.device
        self.optimizer = make_optimizer(flat, recipe)
        self.loss_sum = torch.zeros((), device=device)
        self.wrong_sum = torch.zeros((), device=device, dtype=torch.int64)
        self.average = Average(flat, recipe.ema) if recipe.ema else None
        self._forward: Callable[[torch.Tensor], torch.Tensor | tuple[torch.Tensor, ...]] = model
        self._leaves: list[torch.Tensor] = list(model.parameters())  # what torch's gradients are of
        self._grads = [each.grad for each in self._leaves if each.grad is not None]

    @property
    def ran(self) -> str:
        """What computes, as a score has it."""
        return NATIVE if isinstance(self._model, NativeAnyNet) else TORCH

    def begin(self, epoch: int, step: int) -> None:
        """Go on at this step of the training, in this epoch."""
        self._batches.begin(epoch)

    def __call__(self, step: int) -> int:
        """Take the step of this number, from 0 on; returns how many images it saw."""
        self._set_rates(step)
        here = self._budget.places(step)
        self._learn(*self._batches.take(slice(here.start, here.stop)))
        return len(here)

    def end(self, step: int) -> None:
        """Of an epoch, after so many steps in all."""

    def _set_rates(self, step: int) -> None:
        rate = learning_rate(step, self._budget.steps, self._recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.average is not None:
            self.average.share = self.average.share_of(step)

    def _learn(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        loss, wrong = self._gradients(batch, labels)
        self.optimizer.step()
        if self.average is not None:
            self.average.add()
        self.loss_sum += loss * (len(labels) / self._budget.images_per_step)
        self.wrong_sum += wrong

    def _gradients(self, batch: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and number of wrong answers; the gradients go where the optimiser looks for them."""
        smoothing = self._recipe.label_smoothing
        if isinstance(self._model, NativeAnyNet):
            return self._model.gradients(batch, labels, smoothing)
        with precision(self.device):
            logits, *auxiliary = _outputs(self._forward(batch))
            loss = cross_entropy(logits, labels, label_smoothing=smoothing)
            for other in auxiliary:
                loss = loss + AUXILIARY_WEIGHT * cross_entropy(other, labels)
        found = torch.autograd.grad(loss, self._leaves, materialize_grads=True)
        torch._foreach_copy_(self._grads, found)
        return loss.detach(), (logits.detach().argmax(1) != labels).sum()


class GpuStep(Step):
    """The same on a GPU, where a small network's step is hundreds of launches: recorded once and replayed.

    So all that differs between two steps lies in tensors there: what was drawn for the epoch, the place in
    it, the rates. Weights become bfloat16 all at once, gradients float32 all at once, and norms count no
    batches: one by one, these would be a third of a small network's operations (docs/benchmarks.md).
    """

    def __init__(
        self, model: nn.Module, flat: FlatParameters, batches: Batches, budget: Budget, recipe: Recipe
    ) -> None:
        super().__init__(model, flat, batches, budget, recipe)
        rates = [learning_rate(step, budget.steps, recipe) for step in range(budget.steps)]
        self._rates = torch.tensor(rates, device=self.device)
        self._shares = None
        if self.average is not None:
            self._shares = torch.tensor(list(map(self.average.share_of, range(budget.steps))))
            self._shares = self._shares.to(self.device)
        self._rate = torch.zeros((), device=self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        self._at = torch.zeros(1, dtype=torch.int64, device=self.device)  # the step's number
        self._first = torch.zeros(1, dtype=torch.int64, device=self.device)  # its first place in the epoch
        self._counters: list[Any] = [
            each for each in model.modules() if getattr(each, "num_batches_tracked", None) is not None
        ]
        for norm in self._counters:
            norm.num_batches_tracked = norm.num_batches_tracked.cpu()
        self._use_halves()
        function = partial(self._next, budget.images_per_step) if batches.on_gpu else self._learn
        self._graphed = Graphed(function, self.device)

    @property
    def ran(self) -> str:
        return GRAPH if self._graphed.recorded else EAGER

    def begin(self, epoch: int, step: int) -> None:
        super().begin(epoch, step)
        self._at.fill_(step)
        self._first.fill_(self._budget.places(step).start)

    def __call__(self, step: int) -> int:
        here = self._budget.places(step)
        whole = len(here) == self._budget.images_per_step  # a graph has one shape
        if self._batches.on_gpu:
            (self._graphed if whole else partial(self._next, len(here)))()
        else:
            (self._graphed if whole else self._learn)(*self._batches.take(slice(here.start, here.stop)))
        return len(here)

    def end(self, step: int) -> None:
        for norm in self._counters:
            norm.num_batches_tracked.fill_(step)

    def _next(self, n: int) -> None:
        """The step of the next n images, which lie on the device."""
        batch = self._batches.take(self._first + torch.arange(n, device=self.device))
        self._first += n
        self._learn(*batch)

    def _learn(self, batch: torch.Tensor, labels: torch.Tensor) -> None:
        self._rate.copy_(self._rates.index_select(0, self._at)[0])
        if self.average is not None and self._shares is not None:
            self.average.share = self._shares.index_select(0, self._at)[0]
        self._at += 1
        with torch.no_grad():
            self._half.copy_(self._flat.weights)
        super()._learn(batch, labels)

    def _use_halves(self) -> None:
        """Compute with a bfloat16 copy of the weights, as autocast would of each alone; not in the heads."""
        self._half = self._flat.weights.detach().to(HALF)
        named = dict(self._model.named_parameters())
        weights = {name: each for name, each in named.items() if each.ndim > 1}
        own = {id(each.weight) for each in heads(self._model)}
        parts = dict(zip(weights, views(self._half, list(weights.values())), strict=True))
        halves = {name: half.requires_grad_() for name, half in parts.items() if id(weights[name]) not in own}
        self._forward = partial(functional_call, self._model, halves)
        self._leaves = [halves.get(name, each) for name, each in named.items()]


def make_step(
    model: nn.Module, flat: FlatParameters, batches: Batches, budget: Budget, recipe: Recipe
) -> Step:
    """The form for the device that the parameters are on."""
    return (GpuStep if is_gpu(flat.values.device) else Step)(model, flat, batches, budget, recipe)


class Average:
    """An exponential moving average of all parameters; ``share`` is that of the next step."""

    def __init__(self, flat: FlatParameters, kept: float) -> None:
        self._own, self._kept = (flat.weights, flat.others), kept
        self.vectors = tuple(each.detach().clone() for each in self._own)
        self.share: float | torch.Tensor = 0.0

    def share_of(self, step: int) -> float:
        """Of the step of this number, from 0 on; the average of few steps forgets sooner."""
        return 1 - min(self._kept, (1 + step) / (10 + step))

    def add(self) -> None:
        with torch.no_grad():
            for average, own in zip(self.vectors, self._own, strict=True):
                average.lerp_(own, self.share)

    def swap(self) -> None:
        """Put the average in the place of the parameters, or these back."""
        with torch.no_grad():
            for average, own in zip(self.vectors, self._own, strict=True):
                before = own.clone()
                own.copy_(average)
                average.copy_(before)


def _outputs(returned: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The logits, and in training those of auxiliary classifiers if the network has some."""
    return returned if isinstance(returned, tuple) else (returned,)


class VectorSgd:
    """SGD as torch's own, by its functional form, of one vector a group.

    ``torch.optim.SGD`` imports torch's compiler when it is made, which takes most of a second of every
    process (docs/benchmarks.md).
    """

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        self.param_groups = list(groups)
        self.state: dict[torch.Tensor, dict[str, Any]] = {each["params"][0]: {} for each in groups}

    @torch.no_grad()
    def step(self) -> None:
        """Move every vector by its gradient."""
        for group in self.param_groups:
            (vector,) = group["params"]
            buffers = [self.state[vector].get("momentum_buffer")]
            sgd(
                [vector],
                [vector.grad],
                buffers,
                foreach=False,
                **{name: group[name] for name in ("lr", "momentum", "weight_decay", "nesterov")},
                dampening=0.0,
                maximize=False,
            )
            if buffers[0] is not None:
                self.state[vector]["momentum_buffer"] = buffers[0]


def make_optimizer(flat: FlatParameters, recipe: Recipe) -> torch.optim.Optimizer | VectorSgd:
    """SGD; weight decay on the weights of convolutions and linear layers, or on all parameters.

    On a GPU as one operation for each vector, which reads its rate there.
    """
    vectors = [
        {"params": [flat.weights], "weight_decay": recipe.weight_decay},
        {"params": [flat.others], "weight_decay": recipe.weight_decay * (recipe.decay == "all")},
    ]
    rest: dict[str, Any] = {"lr": recipe.lr, "momentum": recipe.momentum, "nesterov": recipe.nesterov}
    if is_gpu(flat.values.device):
        return torch.optim.SGD(vectors, **rest, fused=True)
    return VectorSgd([each | rest for each in vectors])


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of this step, 0 ≤ step < steps (see ``Recipe``)."""
    if recipe.schedule == "constant":
        return recipe.lr
    warm = min(round(recipe.warmup * steps), steps - 1)  # of four steps and fewer, 0.9 rounds to all
    if step < warm:
        return recipe.lr * (step + 1) / (warm + 1)
    progress = (step - warm) / max(1, steps - warm)
    if recipe.schedule == "cosine":
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.lr * (1 - progress)
