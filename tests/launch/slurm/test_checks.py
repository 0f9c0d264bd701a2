"""What is asked before a job is queued."""

import os
from pathlib import Path

import pytest

from primus.launch import handle
from primus.launch.problems import BadRequest
from primus.launch.slurm import checks
from primus.launch.slurm.options import Settings

from ...conftest import Primus, everything

CLUSTER = """\
#!/bin/sh
case "$*" in
  ping) echo "Slurmctld(primary) at c1 is UP" ;;
  "--all --oneliner show partition") cat <<END
PartitionName=debug Default=YES Hidden=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP TotalNodes=8
PartitionName=night Default=NO Hidden=YES MaxNodes=UNLIMITED MaxTime=UNLIMITED State=DOWN TotalNodes=8
END
  ;;
  "show config") echo "MaxArraySize            = 4" ;;
esac
"""
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

    def asks(*words: str) -> bool:
        return checks.asks_before_preemption(checks.read_config(preempts.format(*words)))

    assert asks("a,preempt_send_user_signal", by_partition)
    assert not asks("(null)", by_partition)
    assert asks("(null)", "preempt/none")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers `scontrol` is a cluster with arrays of up to four elements."""
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(CLUSTER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


ASKED = ("runtime=slurm", "runtime.frozen=false", "task=command", "task.command=true", "tracking.enabled=false")


@pytest.mark.usefixtures("cluster")
def test_a_refusal_says_where_the_value_came_from(primus: Primus, work: Path) -> None:
    for words in (("runtime.nodes=9",), ("-m", "runtime.nodes=9", "env.set.A=1,2")):
        said = primus(*words, *ASKED)
        assert said.code == 2
        assert said.err == (
            "primus: runtime.nodes: 9 is more than the 8 that a job in partition debug gets.  "
            "(command line: runtime.nodes=9)\n"
        )
    said = primus(*ASKED, "runtime.time=abc", "dry_run=true")
    assert (said.code, said.err.endswith("(command line: runtime.time='abc')\n")) == (2, True)
    assert everything(work) == []


@pytest.mark.usefixtures("cluster")
def test_a_sweep_that_is_longer_than_an_array_is_refused_with_the_way_out(primus: Primus, work: Path) -> None:
    said = primus("-m", *ASKED, "env.set.A=1,2,3,4,5")
    assert said.code == 2
    assert "runtime.jobs_per_element=2 runs 2 jobs in each element" in said.err
    assert everything(work) == []


@pytest.mark.usefixtures("cluster")
def test_what_only_delays_a_job_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    checks.cluster(Settings("slurm", 1, partition="night"), os.environ, range(4))
    assert capsys.readouterr().err == (
        "primus: runtime.partition: night is down, and the job waits until it is up again\n"
    )


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
