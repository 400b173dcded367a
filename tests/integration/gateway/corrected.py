"""Jobs with rejected rows, run by hand beside a gateway."""

from collect.storage.object_store import GridFsBlobs
from integration.gateway.calls import CSV, Api
from support.corrections import CorrectedJob

HEADER = "respondent_id,district,age\n"


def begun(api: Api, data: bytes = CSV, **params: object) -> CorrectedJob:
    """A job on the dataset of the gateway's tests, with its file read and no row written yet."""
    made = CorrectedJob.begin(api.db, GridFsBlobs(db=api.db), data, dataset="baseline", **params)
    made.plan()
    return made


def succeeded(api: Api, data: bytes = CSV, **params: object) -> CorrectedJob:
    """The same at its end."""
    made = begun(api, data, **params)
    made.run()
    return made
