"""One trial, fully decided: everything that `train_trial` needs to know and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from trainable.augment import Augment
from trainable.averaging import Averaging, NoAveraging
from trainable.backbones import backbone_facts
from trainable.errors import UserError, nearest
from trainable.freezing import Freeze, blocks_to_freeze
from trainable.heads import Head, LinearHead
from trainable.losses import CrossEntropyLoss, Loss
from trainable.mixing import Mix, NoMix
from trainable.optim import AdamW, ConstantSchedule, CosineSchedule, LearningRate, Optimizer, Schedule
from trainable.strict import Strict
from trainable.task import Task


class Stage(Strict):
    """A stretch of training with its own frozen blocks and learning rate; optimiser and schedule start anew in it."""

    epochs: Annotated[int, Field(ge=1)]
    freeze: Freeze | None = None
    """None: the config's `freeze`"""
    lr: LearningRate | None = None
    """None: the config's `optimizer.lr`"""


class TrialConfig(Strict):
    """The hyperparameters of one trial."""

    backbone: str
    """a row of BACKBONES or `timm:<name>`"""
    pretrained: bool = True
    image_size: Annotated[int, Field(ge=16, le=1024)] = 224
    """pixels; images are square"""
    freeze: Freeze = "all"
    """leading blocks that are frozen: a number, `all`, or a share such as `50%` (rounded down)"""
    head_warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """epochs in which the whole backbone is frozen before `freeze` takes effect"""
    stages: tuple[Stage, ...] = ()
    """two-stage fine-tuning and the like; instead of `head_warmup_epochs`"""
    head: Head = LinearHead()
    optimizer: Optimizer = AdamW()
    schedule: Schedule = ConstantSchedule()
    loss: Loss = CrossEntropyLoss()
    averaging: Averaging = NoAveraging()
    augment: Augment = "none"
    mix: Mix = NoMix()
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 32
    micro_batch: Annotated[int, Field(ge=1)] | None = None
    """images that pass the network at once; gradients add up to `batch_size`"""
    batch_norm: Literal["train", "frozen"] = "train"
    """whether trained blocks' BatchNorm learns its statistics or keeps the pretrained ones"""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    """the horizon of the schedule"""
    first_epoch_evaluations: Annotated[int, Field(ge=1, le=1000)] = 1
    """parts of the first epoch after each of which the trial is scored, so that halving may judge it before an epoch"""
    patience_epochs: Annotated[int, Field(ge=1)] | None = None
    """epochs without a better objective after which the trial ends"""
    thresholds: Literal["half", "fitted"] = "half"
    """multi-label decisions at 0.5 or at a threshold fitted per label on validation"""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """keys initialisation, dropout and the order of images"""

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, name: str) -> str:
        backbone_facts(name)
        return name

    @field_validator("loss", mode="before")
    @classmethod
    def _usual_loss(cls, given: Any) -> Any:
        return {"kind": "cross_entropy", **given} if isinstance(given, Mapping) else given

    @model_validator(mode="before")
    @classmethod
    def _told_by_stages(cls, given: Any) -> Any:
        """With stages, `freeze` is what the last one freezes and `epochs` how long they last together."""
        stages = given.get("stages") if isinstance(given, Mapping) else None
        if not isinstance(stages, list | tuple) or not stages:
            return given
        told = {"freeze": _told(stages[-1], "freeze")}
        lengths = [_told(stage, "epochs") for stage in stages]
        if all(isinstance(length, int) for length in lengths):
            told["epochs"] = sum(lengths)
        return {field: value for field, value in told.items() if value is not None} | given

    @property
    def images_at_once(self) -> int:
        """That pass the network together while it is trained."""
        return min(self.micro_batch or self.batch_size, self.batch_size)

    @model_validator(mode="after")
    def _fits(self) -> TrialConfig:
        mistakes = self._freezes_too_many() + self._stages_do_not_add_up()
        least = self.schedule.min_lr if isinstance(self.schedule, CosineSchedule) else 0.0
        if not mistakes and least > (lowest := self._lowest_lr()):
            mistakes.append(f"schedule.min_lr {least} is above the learning rate {lowest:g}: lower it")
        if self.mix.kind != "none" and self.batch_size == 1:
            mistakes.append(f"mix.kind {self.mix.kind} needs other images in the batch: raise batch_size above 1")
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    def _stages_do_not_add_up(self) -> list[str]:
        mistakes = []
        last = self.stages[-1].freeze if self.stages else None
        if last is not None and last != self.freeze:
            mistakes.append(f"freeze is {self.freeze} but the last stage freezes {last}: leave out freeze")
        total = sum(stage.epochs for stage in self.stages)
        if self.stages and self.head_warmup_epochs:
            mistakes.append("give either stages or head_warmup_epochs, not both: a warm-up is a first stage")
        if self.stages and total != self.epochs:
            mistakes.append(f"the stages last {total} epochs but epochs is {self.epochs}: make them equal")
        if self.head_warmup_epochs >= self.epochs:
            mistakes.append(
                f"head_warmup_epochs is {self.head_warmup_epochs} but epochs is {self.epochs}: leave at least one epoch"
            )
        return mistakes

    def _lowest_lr(self) -> float:
        """The least that the first trained block of any stage learns at; what a timm model's blocks are is unknown."""
        blocks = backbone_facts(self.backbone).blocks
        rates = []
        for stage in self.plan:
            assert stage.freeze is not None  # a plan's stages are filled in
            assert stage.lr is not None
            frozen = blocks_to_freeze(stage.freeze, blocks, self.backbone) if blocks else 0
            blocks_before_last = max(0, blocks - 1 - frozen) if blocks else 0
            rates.append(stage.lr * self.optimizer.block_lr_decay**blocks_before_last)
        return min(rates)

    def _freezes_too_many(self) -> list[str]:
        blocks = backbone_facts(self.backbone).blocks
        if blocks is None:
            return []
        given = [("", self.freeze), *((f"stages.{number}.", stage.freeze) for number, stage in enumerate(self.stages))]
        mistakes = []
        for place, freeze in given:
            if freeze is None:
                continue
            try:
                blocks_to_freeze(freeze, blocks, self.backbone)
            except UserError as error:
                mistakes.append(f"{place}{error}")
        return mistakes

    @property
    def plan(self) -> tuple[Stage, ...]:
        """The stages that this trial goes through, each with its freeze and learning rate filled in."""
        if self.stages:
            stages = self.stages
        elif self.head_warmup_epochs:
            rest = self.epochs - self.head_warmup_epochs
            stages = (Stage(epochs=self.head_warmup_epochs, freeze="all"), Stage(epochs=rest))
        else:
            stages = (Stage(epochs=self.epochs),)
        return tuple(
            Stage(
                epochs=stage.epochs,
                freeze=self.freeze if stage.freeze is None else stage.freeze,
                lr=stage.lr or self.optimizer.lr,
            )
            for stage in stages
        )

    def mistakes_for(self, task: Task) -> list[str]:
        """What in this config does not fit the task, one line each; empty when all does."""
        mistakes = []
        pos_weight = getattr(self.loss, "pos_weight", "none")  # a plugin's loss may have none
        if task == "multiclass" and not isinstance(pos_weight, str):
            mistakes.append(
                f"loss.pos_weight: {pos_weight} is a number, which multi-class has no positives for; "
                "use none, balanced or sqrt_balanced"
            )
        if task == "multiclass" and self.thresholds == "fitted":
            mistakes.append("thresholds: fitted needs a multi-label task; use half")
        return mistakes


def _told(stage: Any, field: str) -> Any:
    """A field of a stage, parsed or not."""
    return stage.get(field) if isinstance(stage, Mapping) else getattr(stage, field, None)


def parse_config(fields: Mapping[str, Any]) -> TrialConfig:
    """A config from plain fields.

    Raises:
        UserError: every mistake at once, one line each by dotted path.
    """
    try:
        return TrialConfig.model_validate(fields)
    except ValidationError as error:
        raise UserError(*config_mistakes(error)) from None


def config_mistakes(error: ValidationError) -> list[str]:
    """pydantic's findings as lines of `dotted.path: what, rule; did you mean`."""
    return [line for finding in error.errors() for line in _mistake(finding).splitlines()]


def _mistake(finding: Any) -> str:
    path, owner = _place(finding["loc"])
    dotted = ".".join(path)
    if finding["type"] == "extra_forbidden":
        fields = sorted(owner.model_fields)
        name = type_name(owner)
        return f"{dotted}: {name} has no field {path[-1]!r}{nearest(path[-1], fields)} (fields: {', '.join(fields)})"
    if finding["type"] == "missing":
        return f"{dotted}: is required"
    if finding["type"] == "union_tag_invalid":
        given, kinds = finding["ctx"]["tag"], finding["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{dotted}.kind: {given!r} is not one of {', '.join(kinds)}{nearest(str(given), kinds)}"
    if finding["type"] == "union_tag_not_found":
        return f"{dotted}.kind: is required (one of {', '.join(choices(TrialConfig.model_fields[path[0]].annotation))})"
    message: str = finding["msg"].removeprefix("Value error, ")
    if not dotted:  # a rule over several fields names them itself
        return message
    given = finding.get("input")
    shown = "" if isinstance(given, dict | list | tuple | Strict) else f" (given: {given!r})"
    return f"{dotted}: {message[0].lower()}{message[1:]}{shown}"


def _place(location: tuple[Any, ...]) -> tuple[list[str], type[BaseModel]]:
    """The dotted path that a finding is about, and the model that owns its last part.

    pydantic puts the chosen member of a union into the path (`head.linear.width`); its author wrote `head.width`.
    """
    owner: type[BaseModel] = TrialConfig
    members: dict[str, type[BaseModel]] = {}
    path: list[str] = []
    for part in map(str, location):
        if part in members:
            owner, members = members[part], {}
            continue
        path.append(part)
        field = owner.model_fields.get(part)
        members = choices(field.annotation) if field else members
        if len(members) == 1:  # a plain part, not a union
            owner = next(iter(members.values()))
    return path, owner


def choices(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models that a field may hold, by their `kind` (or by name for one without)."""
    models = [member for member in (annotation, *get_args(annotation)) if _is_model(member)]
    return {type_name(model): model for model in models}


def type_name(model: type[BaseModel]) -> str:
    """A choice's `kind`, or `a loss`, `a stage` and so on for parts that come in one kind."""
    kind = model.model_fields.get("kind")
    literal: tuple[str, ...] = get_args(kind.annotation) if kind else ()
    return literal[0] if literal else f"a {model.__name__.removeprefix('Trial').lower()}"


def _is_model(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, BaseModel)
