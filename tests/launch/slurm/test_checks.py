"""What is asked before a job is queued."""

from pathlib import Path

import pytest

from primus.launch.problems import BadRequest
from primus.launch.slurm import checks

MOUNTS = """\
/dev/sda / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/x /home nfs4 rw 0 0
tmpfs /home/me/my\\040scratch tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/runs", "ext4"),
        ("/tmp", "tmpfs"),
        ("/tmp/a/b", "tmpfs"),
        ("/tmpx", "ext4"),
        ("/home/me", "nfs4"),
        ("/home/me/my scratch/1", "tmpfs"),
    ],
)
def test_a_directory_is_on_the_innermost_mount(path: str, kind: str) -> None:
    assert checks.file_system(Path(path), MOUNTS) == kind


def test_a_cluster_that_preempts_without_a_signal_before_is_known_by_its_configuration() -> None:
    preempts = "SlurmctldParameters     = {}\nPreemptMode             = REQUEUE\nPreemptType             = {}\n"
    by_partition = "preempt/partition_prio"

    def asks(*words: str) -> bool:
        return checks.asks_before_preemption(checks.read_config(preempts.format(*words)))

    assert asks("a,preempt_send_user_signal", by_partition)
    assert not asks("(null)", by_partition)
    assert asks("(null)", "preempt/none")


def test_a_directory_that_only_this_machine_sees_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"output\.root: /dev/shm/runs is on tmpfs"):
        checks.output(Path("/dev/shm/runs"))


def test_sqlite_on_a_network_file_system_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "_NETWORK", (checks.file_system(Path("/")),))
    checks.store("http://mlflow", Path("/"))
    assert capsys.readouterr().err == ""
    checks.store(None, Path("/"))
    assert "tracking.uri=http://" in capsys.readouterr().err
