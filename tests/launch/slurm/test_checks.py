"""What is asked before a job is queued."""

from pathlib import Path

import pytest

from primus.launch import handle
from primus.launch.problems import BadRequest
from primus.launch.slurm import checks

MOUNTS = """\
/dev/sda / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/x /home nfs4 rw 0 0
tmpfs /home/me/my\\040scratch tmpfs rw 0 0
fs:/x /home/müller lustre rw 0 0
fs:/x /home/me/back\\134slash beegfs rw 0 0
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
        ("/home/müller/runs", "lustre"),
        ("/home/me/back\\slash/runs", "beegfs"),
    ],
)
def test_a_directory_is_on_the_innermost_mount(path: str, kind: str) -> None:
    assert checks.file_system(Path(path), MOUNTS) == kind


def test_a_cluster_that_preempts_without_a_signal_before_is_known_by_its_configuration() -> None:
    preempts = "SlurmctldParameters     = {}\nPreemptMode             = REQUEUE\nPreemptType             = {}\n"
    by_partition = "preempt/partition_prio"
    assert checks.asks_before_preemption(preempts.format("a,preempt_send_user_signal", by_partition))
    assert not checks.asks_before_preemption(preempts.format("(null)", by_partition))
    assert checks.asks_before_preemption(preempts.format("(null)", "preempt/none"))


def test_a_directory_that_only_this_machine_sees_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"output\.root: /dev/shm/runs is on tmpfs"):
        checks.output(Path("/dev/shm/runs"))


def test_sqlite_on_a_network_file_system_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "file_system", lambda path: "lustre")
    checks.store("http://mlflow", Path("/"))
    assert capsys.readouterr().err == ""
    checks.store(None, Path("/"))
    assert "tracking.uri=http://" in capsys.readouterr().err


def test_file_systems_that_several_hosts_have_are_known_by_their_type() -> None:
    shared = ("nfs4", "lustre", "gpfs", "beegfs", "ceph", "fuse.ceph", "wekafs", "fuse.glusterfs", "fuse.sshfs")
    assert [kind for kind in shared if not checks.is_network(kind)] == []
    local = ("ext4", "xfs", "overlay", "tmpfs", "fuseblk", "fuse.fuse-overlayfs", "")
    assert [kind for kind in local if checks.is_network(kind)] == []


def test_a_run_of_another_cluster_goes_on_here_once_it_has_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks.controller, "cluster", lambda: "beta")
    before = {tmp_path: handle.ours("slurm", "77", cluster="alpha")}
    with pytest.raises(BadRequest, match=r"resume: .* has no result, and its job 77 may go on in Slurm cluster alpha"):
        checks.elsewhere(before, "resume")
    (tmp_path / "result.json").touch()
    assert checks.elsewhere(before, "resume")
    assert not checks.elsewhere({tmp_path: handle.ours("slurm", "77", cluster="beta")}, "resume")
