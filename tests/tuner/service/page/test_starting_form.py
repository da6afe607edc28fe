"""The form of a new search becomes a submission, and what is wrong with it is told at its field."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tuner.service.page.views.planned import planned
from tuner.service.page.views.starting import (
    OWN_SPACE,
    Form,
    form_of,
    mistakes_by_word,
    mistakes_of,
    space_names,
    submission_of,
    told_space,
)
from tuner.service.submissions.submission import Submission


def refused(**typed: str) -> Form:
    form = form_of(typed)
    with pytest.raises(ValidationError) as error:
        Submission.model_validate(submission_of(form))
    return Form(form.values, mistakes_of(error.value))


def test_what_was_left_empty_is_not_given() -> None:
    form = form_of({"space": "quick", "data": "cats", "name": " ", "trials": "", "more": "x"})
    assert submission_of(form) == {"space": "quick", "data": "cats"}
    assert not form.is_opened


def test_all_fields_find_their_place_in_the_submission() -> None:
    typed = {"space": "quick", "data": "cats", "name": "mine", "trials": "8", "hours": "0.5", "priority": "-1"}
    typed |= {"seed": "3", "backbone": "lite0, lite1=lite2", "image_size": "64", "epochs": "3", "notes": "a"}
    form = form_of(typed)
    found = Submission.model_validate(submission_of(form))
    assert (found.name, found.budget.trials, found.budget.hours) == ("mine", 8, 0.5)
    assert (found.priority, found.seed, found.notes) == (-1, 3, "a")
    assert found.overrides.backbone == ("lite0", "lite1=lite2")
    assert (found.overrides.image_size, found.overrides.epochs) == (("64",), ("3",))
    assert form.is_opened


def test_ones_own_space_is_given_as_its_text_and_only_when_it_is_chosen() -> None:
    typed = {"space": OWN_SPACE, "space_yaml": "version: 1", "data": "cats"}
    assert submission_of(form_of(typed)) == {"space_yaml": "version: 1", "data": "cats"}
    assert submission_of(form_of(typed | {"space": "quick"})) == {"space": "quick", "data": "cats"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trials", "0"),
        ("trials", "many"),
        ("hours", "-1"),
        ("gpu_hours", "nan"),
        ("name", "../x"),
        ("data", "a b"),
        ("priority", "101"),
        ("backbone", "x" * 201),
    ],
)
def test_a_mistake_is_told_at_its_field(field: str, value: str) -> None:
    form = refused(**{"space": "quick", "data": "cats", field: value})
    assert list(form.mistakes) == [field]
    assert form.value(field) == value


def test_data_that_were_not_chosen_are_a_mistake_too() -> None:
    assert list(refused(space="quick").mistakes) == ["data"]
    assert list(refused(data="cats").mistakes) == ["space"]


def test_what_checks_say_is_told_at_the_field_that_it_begins_with() -> None:
    lines = (
        "data: there is no data set 'cat'; nearest: 'cats'",
        "--hours 0: should be greater than 0",
        "--image-size 7: no such size",
        "something else",
    )
    told = mistakes_by_word(form_of({"space": "quick"}), lines)
    assert told == {"data": lines[:1], "hours": lines[1:2], "image_size": lines[2:3], "": lines[3:]}
    own = form_of({"space": OWN_SPACE})
    assert mistakes_by_word(own, ["space_yaml: space.yaml:3:1: axes: x"]) == {
        "space_yaml": ("space_yaml: space.yaml:3:1: axes: x",)
    }


def test_a_shipped_space_is_told_with_its_values() -> None:
    assert OWN_SPACE not in space_names()
    quick = told_space("quick")
    axes = dict(quick.axes)
    assert axes["backbone"] == "lite0, lite1, lite2"
    assert axes["head.width"] == "128 to 512, log, when head.kind mlp"
    assert (quick.trials, quick.scheduler) == (12, "asha")


def test_a_plan_is_read_tolerantly() -> None:
    nothing = planned({})
    assert (nothing.takes, nothing.memory, nothing.backbones) == ("", "", ())
    told = planned(
        {
            "trials": 12,
            "shared": {"seconds": 700.0, "trial_seconds": 3600.0, "feature_bytes": 2**30, "checkpoint_bytes": 0},
            "image_bytes": 2**30,
            "basis": {"unit": "GPU", "units": 0.5},
            "memory": [{"gib": 2.0, "fits": True}, {"backbone": "lite2", "gib": 99.0, "fits": False}],
            "backbones": [{"backbone": "lite0", "image_size": 96, "parameters": 3_400_000, "latency_ms": 18.66}],
            "left_out": 0.25,
        }
    )
    assert (told.takes, told.compute, told.unit, told.memory, told.disk) == ("12 min", "0.5", "GPU", "2 GiB", "2 GiB")
    assert told.backbones[0].parameters_m == "3.4"
    assert told.misfits[0].startswith("lite2")
    assert told.percent_left_out == 25
