"""Flags in JSON are true or false. A text such as "false" is refused, since it reads as its opposite elsewhere."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from collect.jobs.template import Column
from gateway.kinds.exports import ExportParams
from gateway.kinds.teams import TeamsParams
from gateway.kinds.uploads import UploadParams
from gateway.schemas.requests import CorrectionsBody

MODELS: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (UploadParams, {"file_id": "f", "dataset": "d"}),
    (TeamsParams, {"file_id": "f"}),
    (ExportParams, {"form_id": "f"}),
    (CorrectionsBody, {"value_map": {"c": {"x": "y"}}}),
    (Column, {"name": "c", "type": "string"}),
]
FLAGS = [
    (model, given, name)
    for model, given in MODELS
    for name, of_model in model.model_fields.items()
    if "bool" in str(of_model.annotation) and "dict" not in str(of_model.annotation)
]


@pytest.mark.parametrize("value", ["false", "yes", 0, 1])
@pytest.mark.parametrize(("model", "given", "name"), FLAGS, ids=[f"{m.__name__}.{name}" for m, _, name in FLAGS])
def test_a_flag_is_true_or_false_and_nothing_that_reads_like_one(
    model: type[BaseModel], given: dict[str, Any], name: str, value: Any
) -> None:
    assert getattr(model.model_validate({**given, name: True}), name) is True
    with pytest.raises(ValidationError):
        model.model_validate({**given, name: value})


def test_all_flags_are_found() -> None:
    assert {"has_header", "trim", "formula_safe", "bom", "change_keys", "required"} <= {name for _, _, name in FLAGS}
