"""From a study's setting to a job."""

from collections.abc import Mapping
from typing import Any

from bench.plan.identity import setting_id, trial_id
from bench.plan.study import Study
from bench.run.job import Job
from medseg.training.config import TrialSpec


def make_job(
    study: Study, data: tuple[str, str], spec: TrialSpec, setting: Mapping[str, Any], number: int
) -> Job:
    """Returns the first attempt at a trial.

    Args:
        study: That it belongs to.
        data: Fingerprint of the study's data, and hash of its split.
        spec: The trial.
        setting: From which it was made.
        number: As in `Job`.
    """
    model, loss = study.labels(setting)
    return Job(
        trial=trial_id(spec, *data, study.id),
        study=study.id,
        entry=study.entry,
        model=model,
        loss=loss,
        number=number,
        setting=dict(setting),
        setting_id=setting_id(setting),
        spec=spec,
        data_fingerprint=data[0],
        split_hash=data[1],
    )
