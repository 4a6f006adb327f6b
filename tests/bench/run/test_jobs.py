from bench.plan.identity import setting_id, trial_id
from bench.run.jobs import make_job
from medseg.config import Component
from medseg.tasks import TASKS
from medseg.training.config import TrialSpec


class Study:
    id, entry = "study", "U-Net + ce"

    def labels(self, setting):
        return "U-Net", "ce"


def test_a_job_has_the_trial_its_names_and_its_identity():
    spec = TrialSpec(
        task=TASKS.load("phantom-lung"), model=Component(name="unet"), loss=Component(name="ce"), phase="tune"
    )
    setting = {"train.learning_rate": 0.1}
    job = make_job(Study(), ("data", "split"), spec, setting, 3)
    assert (job.study, job.entry, job.model, job.loss) == ("study", "U-Net + ce", "U-Net", "ce")
    assert (job.number, job.attempt, job.setting) == (3, 1, setting)
    assert job.trial == trial_id(spec, "data", "split", "study")
    assert job.setting_id == setting_id(setting)
    assert (job.data_fingerprint, job.split_hash) == ("data", "split")
