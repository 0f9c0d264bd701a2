"""`--env` of primus-cli: one variable, a name, or a file as a shell would source it."""

from pathlib import Path

import pytest

from primus.launch.cli.variables import stated
from primus.launch.problems import BadRequest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def of_file(text: str) -> list[tuple[str, str | None]]:
    Path("vars").write_text(text)
    return stated("vars")


def refusal(text: str) -> str:
    with pytest.raises(BadRequest) as refused:
        stated(text)
    return str(refused.value)


def refused_line(line: str) -> str:
    Path("vars").write_text(f"# of the cluster\n{line}\n")
    return refusal("vars")


def test_what_is_typed_is_taken_as_it_is() -> None:
    assert stated("A=b=c") == [("A", "b=c")]
    assert stated("A='x' $y") == [("A", "'x' $y")]
    assert stated("HF_TOKEN") == [("HF_TOKEN", None)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", ""),
        ("plain", "plain"),
        ('"quoted value"', "quoted value"),
        ("'quoted $value'", "quoted $value"),
        ("\"a\"b'c'", "abc"),
        (r'"a \"b\" \$c \d"', r'a "b" $c \d'),
        (r"a\ b\$", "a b$"),
        (r'"\\"', "\\"),
        ("x # a comment, don't", "x"),
        ("a#b", "a#b"),
        ("http://host:1/x?y=1", "http://host:1/x?y=1"),
    ],
)
def test_a_value_in_a_file_is_what_a_shell_makes_of_it(written: str, value: str) -> None:
    assert of_file(f"export A={written}\n") == [("A", value)]


def test_a_file_has_lines_of_both_kinds() -> None:
    assert of_file("# one\nexport  A=1\r\n\n  B=2\nHF_HOME\nexport C\n") == [
        ("A", "1"),
        ("B", "2"),
        ("HF_HOME", None),
        ("C", None),
    ]


@pytest.mark.parametrize("written", ["$HOME/x", '"$HOME/x"', "`id`", '"$(id)"', "a${B}", "~/x", r'"\\$x"'])
def test_what_a_shell_would_expand_is_refused_without_its_value(written: str) -> None:
    assert refused_line(f"A={written}") == (
        "--env vars: line 2: A: $, ` and ~ are not expanded: write out what it stands for, or quote it with '"
    )


@pytest.mark.parametrize("written", ["b c", "b; c", "b&c", '"b', "it's", "b (c)", "b\\", "b" * 99 + "("])
def test_several_words_or_half_a_quote_are_refused(written: str) -> None:
    assert refused_line(f"A={written}").startswith("--env vars: line 2: A: its value is not one word of a shell: quote")


def test_a_bare_word_in_a_file_is_a_name_and_never_a_file() -> None:
    assert of_file("vars\n") == [("vars", None)]
    assert refused_line("set -a") == "--env vars: line 2 is neither NAME=value nor the NAME of a variable"


def test_a_file_that_is_no_text_is_refused() -> None:
    Path("vars").write_bytes(b"\xff\xfe\x00A")
    assert refusal("vars") == "--env vars: it is no text in UTF-8, so no file of variables"


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("NNODES", "slurm -N <n>"),
        ("GPUS_PER_NODE", "ranks_per_node=<n>"),
        ("NODE_RANK", "Primus numbers nodes and ranks itself"),
        ("MASTER_ADDR", "env.set.MASTER_PORT=<port> fixes the port"),
    ],
)
def test_what_lays_out_ranks_in_amds_launcher_is_refused_with_what_to_give(name: str, instead: str) -> None:
    assert refusal(f"{name}=2").startswith(f"--env {name}: ")
    assert refusal(f"{name}=2").endswith(instead)
    assert refused_line(f"export {name}=2").startswith("--env vars: line 2: ")
    assert stated("MASTER_PORT=29500") == [("MASTER_PORT", "29500")]
