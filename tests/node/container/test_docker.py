"""What is said to docker."""

from primus.node.container.docker import argv, endings, pull
from primus.node.container.node import Node

from .starts import AMD, INFINIBAND, NVIDIA, SOMEBODY, follows, start


def test_the_whole_command_on_a_node_without_any_device() -> None:
    assert argv(start("docker")) == (
        *("docker", "run", "--rm", "--interactive", "--name", "primus-r-0-abcd", "--label", "primus.run=r"),
        *("--pull=never", "--log-driver", "none", "--network", "host", "--hostname", "localhost"),
        *("--ipc", "host", "--workdir", "/project"),
        *("--mount", "type=bind,source=/opt/primus,target=/opt/primus,readonly"),
        *("--mount", "type=bind,source=/data,target=/in"),
        *("--entrypoint", "python3", "--user", "0:0", "some/image:1", "-I", "/opt/primus/node"),
    )


def test_gpus_of_nvidia_are_asked_for_by_their_own_option() -> None:
    words = argv(start("docker", NVIDIA))
    assert follows(words, "--gpus", "all")
    assert not {"--device", "--cap-add"} & {*words}


def test_gpus_of_amd_are_device_files_their_groups_and_the_right_to_trace() -> None:
    words = argv(start("docker", AMD))
    assert follows(words, "--device", "/dev/kfd", "--device", "/dev/dri", "--group-add", "44", "--group-add", "109")
    assert follows(words, "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined")
    assert "--gpus" not in words


def test_infiniband_comes_with_memory_that_may_be_pinned_unless_the_user_limits_it() -> None:
    words = argv(start("docker", INFINIBAND))
    assert follows(words, "--ulimit", "memlock=-1:-1")
    assert follows(words, "--device", "/dev/infiniband")
    words = argv(start("docker", INFINIBAND, ulimits=("memlock=5:5",)))
    assert [words[i + 1] for i, word in enumerate(words) if word == "--ulimit"] == ["memlock=5:5"]


def test_somebody_is_themselves_with_a_home_that_is_there() -> None:
    assert follows(argv(start("docker", SOMEBODY)), "--user", "1000:100", "--env", "HOME=/tmp")
    assert follows(argv(start("docker", user="1000")), "--user", "1000", "--env", "HOME=/tmp")
    assert follows(argv(start("docker", SOMEBODY, user="root")), "--user", "root", "some/image:1")
    assert "HOME=/tmp" not in argv(start("docker", SOMEBODY, environment=("HOME=/home/me",)))


def test_where_selinux_guards_files_the_container_may_use_its_mounts_all_the_same() -> None:
    assert follows(argv(start("docker", Node(selinux=True))), "--security-opt", "label=disable")


def test_shared_memory_of_its_own_takes_the_place_of_the_hosts() -> None:
    words = argv(start("docker", shm_size="16g"))
    assert follows(words, "--shm-size", "16g")
    assert "--ipc" not in words


def test_only_variables_with_a_value_are_on_the_command_line() -> None:
    words = argv(start("docker", environment=("NCCL_*", "A=b c")))
    assert follows(words, "--env", "A=b c")
    assert "NCCL_*" not in words


def test_the_users_own_options_come_verbatim_right_before_the_image() -> None:
    words = argv(start("docker", options=("--cpuset-cpus", "0 1")))
    assert follows(words, "--cpuset-cpus", "0 1", "some/image:1")


def test_a_person_has_a_terminal() -> None:
    words = argv(start("docker", interactive=True))
    assert follows(words, "--rm", "--interactive", "--tty")
    assert follows(words, "--entrypoint", "bash")
    assert words[-1] == "some/image:1"


def test_it_is_ended_in_good_order_and_then_by_force() -> None:
    assert endings("n", 10.0) == [
        ("docker", "stop", "--time", "12", "n"),
        ("docker", "rm", "--force", "--volumes", "n"),
    ]
    assert pull("i") == ("docker", "pull", "--quiet", "i")
