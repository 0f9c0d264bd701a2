"""What people type is read, corrected where that is safe, and refused with help where it is not."""

import os
from collections.abc import Sequence

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from primus.launch.config import catalog
from primus.launch.config.arguments import OPTIONS, tidy
from primus.launch.config.reading import resolve
from primus.launch.problems import BadRequest


def refusal(*argv: str) -> str:
    with pytest.raises(BadRequest) as refused:
        tidy(argv)
    return str(refused.value)


def test_the_options_are_those_of_the_hydra_that_is_installed() -> None:
    from hydra._internal.utils import get_args_parser

    assert {option for action in get_args_parser()._actions for option in action.option_strings} == set(OPTIONS)


@pytest.mark.parametrize(
    ("typed", "meant"), [("--hlep", "--help"), ("--multrun", "--multirun"), ("--config_dir=x", "--config-dir")]
)
def test_a_misspelt_option_is_answered_with_the_closest(typed: str, meant: str) -> None:
    said = refusal("task.steps=3", typed)
    assert said.startswith(f"There is no option {typed.split('=')[0]}. Did you mean '{meant}'?")


@pytest.mark.parametrize("option", ["--cfg", "-c", "--config-dir", "-cn", "--package"])
def test_an_option_without_its_value_is_refused(option: str) -> None:
    assert refusal("task.steps=3", option) == f"The option {option} needs a value after it."


def test_an_option_that_takes_no_value_is_refused_with_one() -> None:
    assert "--multirun takes no value" in refusal("--multirun=true")


@pytest.mark.parametrize(("option", "value", "meant"), [("--cfg", "jobs", "job"), ("--info", "plugin", "plugins")])
def test_a_value_that_an_option_does_not_know_is_refused_with_its_choices(option: str, value: str, meant: str) -> None:
    assert f"{option} {value}: not among" in refusal(f"{option}={value}")
    assert f"Did you mean '{meant}'?" in refusal(f"{option}={value}")


def test_info_takes_no_override_for_its_value() -> None:
    assert tidy(["--info", "task.steps=3"]).argv == ["--info", "all", "task.steps=3"]
    assert tidy(["--info", "defaults-tree", "task.steps=3"]).argv == ["--info", "defaults-tree", "task.steps=3"]
    assert tidy(["--info"]).argv == ["--info", "all"]


def test_options_and_overrides_may_come_in_any_order() -> None:
    arguments = tidy(["task.steps=3", "-m", "model=tiny", "--config-dir", "/a", "-cd=/b"])
    assert arguments.overrides == ("task.steps=3", "model=tiny")
    assert arguments.config_dirs == ["/a", "/b"]


def test_of_two_values_of_one_key_the_last_counts_and_the_user_is_told() -> None:
    arguments = tidy(["task.steps=3", "task.seed=1", "task.steps=4"])
    assert arguments.overrides == ("task.seed=1", "task.steps=4")
    assert arguments.warnings == ("task.steps is given twice: task.steps=3, then task.steps=4. The last one counts.",)


def test_the_same_value_twice_is_not_worth_a_word() -> None:
    arguments = tidy(["task.steps=3", "task.steps=3"])
    assert (arguments.overrides, arguments.warnings) == (("task.steps=3",), ())


def test_a_variable_that_is_given_twice_is_told_without_its_values_which_may_be_secret() -> None:
    assert tidy(["env.set.HF_TOKEN=hf_one", "env.set.HF_TOKEN=hf_two"]).warnings == (
        "env.set.HF_TOKEN is given twice. The last one counts.",
    )
    assert tidy(["env.set={HF_TOKEN: hf_one}", "env.set={HF_TOKEN: hf_two}"]).warnings == (
        "env.set is given twice: env.set=<secret>, then env.set=<secret>. The last one counts.",
    )


@pytest.mark.parametrize("typed", ["console.ranks=0,3", "console.ranks='0,3'"])
@pytest.mark.parametrize("options", [(), ("-m",)])
def test_ranks_with_commas_are_a_list_and_never_a_sweep(typed: str, options: tuple[str, ...]) -> None:
    assert tidy([*options, typed]).overrides == ("console.ranks='0,3'",)


@pytest.mark.parametrize("options", [(), ("-m",)])
@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("runtime.partition=gpu,debug", "runtime.partition='gpu,debug'"),
        ("runtime.qos=007", "runtime.qos='007'"),
        ("runtime.options.mail-type=END,FAIL", "++runtime.options.mail-type='END,FAIL'"),
        ("+runtime.options.mail-type=END,FAIL", "+runtime.options.mail-type='END,FAIL'"),
        ("runtime.options.exclusive=true", "++runtime.options.exclusive=true"),
        ("runtime.options={hold: true}", "++runtime.options={hold: true}"),
        ("runtime.partition=null", "runtime.partition=null"),
        ("runtime.account=${oc.env:ACCOUNT}", "runtime.account=${oc.env:ACCOUNT}"),
        ("runtime.nodelist='c[1-2],d'", "runtime.nodelist='c[1-2],d'"),
    ],
)
def test_what_sbatch_takes_is_text_and_its_commas_are_no_sweep(typed: str, read: str, options: tuple[str, ...]) -> None:
    assert tidy([*options, typed]).overrides == (read,)


def test_in_a_sweep_a_variable_can_have_several_values() -> None:
    assert tidy(["-m", "env.set.A=1,2"]).overrides == ("++env.set.A=1,2",)


def test_a_value_that_is_no_utf_8_is_refused_by_key() -> None:
    assert refusal(os.fsdecode(b"env.set.A=\xff")) == "'env.set.A': its value is no valid UTF-8"


def composed(values: Sequence[str]) -> list[str]:
    """What variables hold after Hydra itself has composed the config from a command line that sets them."""
    argv = [f"env.set.NAME_{i}={value}" for i, value in enumerate(values)]
    with initialize_config_dir(str(catalog.conf_dir()), version_base="1.3"):
        config = compose("config", overrides=list(tidy(argv).overrides))
    return list(resolve(config)["env"]["set"].values())


def test_variables_have_the_values_that_were_typed() -> None:
    values = [
        "",
        " leading and trailing ",
        "a,b",
        "it's",
        "'",
        '"quoted"',
        "\\",
        "\\\\",
        "ends in \\",
        "\\'",
        "$HOME",
        "${HOME}",
        "\\${HOME}",
        "\\\\${oc.env:HOME}",
        "${",
        "a=b=c",
        "two\nlines\n",
        "[1,2]",
        "{a: 1}",
        "null",
        "true",
        "1e-3",
        "007",
        "???",
        "~",
        "--flag",
        "grüße 你好 🚀",
        "tab\tand\rreturn",
        "%s {rank} {primus.run_dir}",
    ]
    assert composed(values) == values


TEXT = st.text(
    st.one_of(st.sampled_from("\\'\"${}[](),=:# \n~?*"), st.characters(codec="utf-8", exclude_characters="\0")),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXT, min_size=30, max_size=30))  # a composition takes 0.2 s, however many variables it has
def test_whatever_a_variable_holds_hydra_hands_it_on_byte_for_byte(values: list[str]) -> None:
    assert composed(values) == values


def test_a_variable_that_is_new_and_one_that_is_there_are_set_alike() -> None:
    assert tidy(["+env.set.A=1", "++env.set.B=2", "env.set.C=3"]).overrides == (
        "++env.set.A='1'",
        "++env.set.B='2'",
        "++env.set.C='3'",
    )
