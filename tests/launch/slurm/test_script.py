"""The batch script: what Slurm and the shell read back is what was meant."""

import subprocess
import sys
from pathlib import Path

import pytest

from primus.launch.problems import BadRequest
from primus.launch.slurm import script
from primus.launch.slurm.options import Settings


def built(directory: str = "/data/runs/1", command: tuple[str, ...] = ("true",), **settings: object) -> str:
    return script.build(Settings(**{"name": "slurm", "nodes": 2, **settings}), Path(directory), command)  # type: ignore[arg-type]


def test_the_script_is_complete() -> None:
    assert built(command=("/usr/bin/python3", "job.py"), setup=(("module", "load", "rocm"),), time="30") == (
        "#!/bin/bash\n"
        "#SBATCH --job-name=primus-1\n"
        "#SBATCH --nodes=2\n"
        "#SBATCH --ntasks-per-node=1\n"
        "#SBATCH --time=30\n"
        "#SBATCH --signal=B:USR1@120\n"
        "#SBATCH --no-requeue\n"
        "#SBATCH --kill-on-invalid-dep=yes\n"
        "#SBATCH --chdir=/data/runs/1\n"
        "#SBATCH --output=/data/runs/1/logs/job.log\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --export=ALL\n"
        "module load rocm || exit\n"
        "exec /usr/bin/python3 job.py\n"
    )


def test_an_array_has_a_log_for_each_element() -> None:
    text = script.build(Settings(name="slurm", nodes=1), Path("/data/sweep"), ("true",), array="0-7%2")
    assert "#SBATCH --array=0-7%2\n" in text
    assert "#SBATCH --output=/data/sweep/%a/logs/job.log\n" in text


WORDS = ["", "a b", "$HOME", "`id`", "$(id)", "it's", '"', "\\", "*", "ü", ";rm", "a\tb", "#x", "-n"]


def test_words_reach_the_program_byte_for_byte() -> None:
    show = [sys.executable, "-I", "-S", "-c", "import sys; print(ascii(sys.argv[1:]))", *WORDS]
    lines = built(command=tuple(show)).splitlines(keepends=True)
    ended = subprocess.run(["bash"], input="".join(lines), capture_output=True, text=True, timeout=30)
    assert ended.stdout == ascii(WORDS) + "\n", ended.stderr


def test_a_setup_command_that_fails_ends_the_job_with_its_code() -> None:
    text = built(command=("echo", "ran"), setup=(("sh", "-c", "exit 7"),))
    ended = subprocess.run(["bash"], input=text, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (7, "")


def test_a_value_with_spaces_or_quotes_is_quoted() -> None:
    assert '#SBATCH --job-name="a \\"b\\" \\\\ $x"\n' in built(job_name='a "b" \\ $x')


def test_no_name_of_a_directory_is_taken_for_a_pattern() -> None:
    assert "#SBATCH --output=/data/100%%j/1/logs/job.log\n" in built("/data/100%j/1")
    with pytest.raises(BadRequest, match=r"output\.root"):
        built("/data/a\\b")


@pytest.mark.parametrize("directory", ["/data/a\nb", "/data/a\0b"])
def test_a_directory_that_no_line_can_hold_is_refused(directory: str) -> None:
    with pytest.raises(BadRequest, match="cannot stand in a batch script"):
        built(directory)


def test_a_line_break_in_a_word_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"runtime\.setup: 'a\\nb' cannot stand"):
        built(setup=(("echo", "a\nb"),))


def test_sbatch_sees_nothing_of_another_allocation_nor_of_variables_that_would_win_over_the_script() -> None:
    environ = {
        "PATH": "/bin", "SLURM_JOB_ID": "1", "SLURM_MEM_PER_CPU": "1", "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_PARTITION": "x", "SBATCH_TIMELIMIT": "1", "SBATCH_ACCOUNT": "mine",
    }  # fmt: skip
    text = built(partition="gpu", time="30")
    assert script.environment(environ, text) == {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_ACCOUNT": "mine",
    }


def test_nor_of_what_primus_sets_or_leaves_out_on_purpose() -> None:
    names = "REQUEUE NO_REQUEUE WAIT ERROR INPUT SIGNAL ARRAY_INX NO_KILL CLUSTERS OPEN_MODE EXPORT JOB_NAME DEBUG"
    environ = {f"SBATCH_{name}": "1" for name in names.split()}
    assert script.environment({**environ, "SBATCH_ACCOUNT": "mine"}, built()) == {"SBATCH_ACCOUNT": "mine"}


def test_nor_of_another_kind_of_memory_than_the_script_asks_for() -> None:
    environ = {"SBATCH_MEM_PER_CPU": "1G", "SBATCH_MEM_PER_GPU": "1G", "SBATCH_MEM_PER_NODE": "1G"}
    assert script.environment(environ, built(mem="64G")) == {}
    assert script.environment(environ, built(options={"mem-per-cpu": "2G"})) == {}
    assert script.environment(environ, built()) == environ
