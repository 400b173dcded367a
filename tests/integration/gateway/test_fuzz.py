"""Requests made from the API's own description, right ones and wrong ones, by everybody: each answer is as described.

The same requests are made each time. To look further: `COLLECT_FUZZ_EXAMPLES=500`, which makes others each time.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from collect.storage import api_keys
from integration.gateway.calls import Api
from integration.gateway.conftest import Running
from integration.gateway.described import DESCRIPTION
from support.team_jobs import team

EXAMPLES = int(os.environ.get("COLLECT_FUZZ_EXAMPLES", "0"))
BOUNDED = 10
TIMEOUT_SECONDS = 60
CALLERS = (None, "viewer", "operator", "admin", "other admin", "platform")
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION.document)

CASES = [
    (method, path, mode.value)
    for method, path in DESCRIPTION.calls
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or "security" in DESCRIPTION.document["paths"][path][method]
]
"""What is asked of a call; of one that takes nothing, nothing can be asked wrongly."""

often = settings(
    max_examples=EXAMPLES or BOUNDED,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_whatever_is_asked_is_answered_as_it_is_described(
    api: Api, running: Running, method: str, path: str, mode: str
) -> None:
    known = there(api)
    session = requests.Session()

    @often
    @given(
        case=SCHEMA[path][method.upper()].as_strategy(generation_mode=GenerationMode(mode)),
        caller=st.sampled_from(CALLERS),
        exists=st.booleans(),
        organisation=st.sampled_from(["labs", "other", "nobody", None]),
    )
    def ask(case: Case[Any], caller: str | None, exists: bool, organisation: str | None) -> None:
        if exists:
            case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
        sent: dict[str, Any] = case.as_transport_kwargs(base_url=running.system.url)
        headers = {**sent.pop("headers"), **({"Authorization": f"Bearer {api.keys[caller]}"} if caller else {})}
        if organisation is not None and caller == "platform":
            headers["X-Organisation"] = organisation
        try:
            answer = session.request(**sent, headers=headers, timeout=TIMEOUT_SECONDS)
        except requests.exceptions.InvalidHeader:
            return  # no client sends it
        assert answer.status_code < 500, answer.text
        asked = answer.request.path_url
        DESCRIPTION.check(method, asked, status=answer.status_code, headers=answer.headers, body=answer.content)

    with session:
        ask()


def there(api: Api) -> dict[str, str]:
    """Something for each parameter of a path."""
    team(api.db, "baseline", managers=["+919800000001"])
    key = api_keys.create(api.db, org_id="labs", name="to be revoked", role="viewer").key.id
    return {"job_id": str(api.job()["id"]), "file_id": api.file(), "key_id": key, "name": "baseline"}
