"""What is wrong with a command is said in one message that helps: exit code 2, no traceback, nothing written."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from primus.launch.config import catalog

from ...conftest import Primus, Rank, everything

Refused = Callable[..., str]


@pytest.fixture
def refused(primus: Primus, work: Path) -> Refused:
    """What a command says that is refused."""

    def run(*words: str) -> str:
        before = everything(work)
        said = primus(*words)
        assert said.code == 2
        assert said.out == ""
        assert said.err.startswith("primus: ")
        assert "Traceback" not in said.err
        assert "HYDRA_FULL_ERROR" not in said.err
        assert everything(work) == before
        return said.err.removeprefix("primus: ").rstrip("\n")

    return run


def test_an_unknown_choice_is_answered_with_the_closest_and_with_all_there_are(refused: Refused) -> None:
    there_are = ", ".join(sorted(catalog.choices("backend", [catalog.conf_dir()])))
    assert refused("backend=torchtitn") == (
        f"backend=torchtitn: there is no backend of that name. Did you mean 'torchtitan'?\nThere are: {there_are}"
    )


def test_a_group_without_a_choice_is_answered_with_those_there_are(refused: Refused) -> None:
    tasks = ", ".join(catalog.choices("task", [catalog.conf_dir()]))
    assert refused("task=") == f"task= names no task.\nThere are: {tasks}"


def test_the_folder_of_a_choice_belongs_to_its_name(refused: Refused) -> None:
    said = refused("task/train=pretrain")
    assert said == "task/train=pretrain: the folder belongs to the name of the choice, task=train/pretrain"


def test_an_unknown_choice_among_those_of_a_sweep_is_named(refused: Refused) -> None:
    assert refused("-m", "data=text,mok").startswith("data=mok: there is no data of that name. Did you mean 'mock'?")


@pytest.mark.parametrize(("typed", "meant"), [("bakend", "backend"), ("modle", "model"), ("ranks_pr_node", "")])
def test_an_unknown_group_is_answered_with_the_closest(refused: Refused, typed: str, meant: str) -> None:
    said = refused(f"{typed}=x")
    assert said.startswith(f"{typed}: there is no such key  (command line: {typed}=x).")
    assert f"Did you mean '{meant or 'ranks_per_node'}'?" in said


def test_an_unknown_key_is_answered_with_the_closest_and_its_neighbours(refused: Refused) -> None:
    said = refused("task.optimizer.lrr=1")
    assert "Did you mean 'task.optimizer.lr'?" in said
    assert said.endswith("There are: betas, epsilon, lr, name, weight_decay")


def test_the_last_part_of_a_key_is_enough_to_find_it(refused: Refused) -> None:
    assert "Did you mean 'task.optimizer.lr'?" in refused("lr=1e-3")


def test_keys_are_those_of_the_chosen_task(refused: Refused) -> None:
    assert refused("task=command", "task.steps=3").endswith("There are: command, name")


@pytest.mark.parametrize("override", ["+task.foo=1", "++task.foo=1"])
def test_a_key_cannot_be_added_where_none_belongs(refused: Refused, override: str) -> None:
    said = refused(override)
    assert said.startswith("task.foo: no such key; there are: name, steps, seed")
    assert said.endswith(f"(command line: {override})")


def test_a_key_that_was_taken_away_is_missed(refused: Refused) -> None:
    assert refused("~task.steps").startswith("task.steps: missing")


def test_a_group_cannot_be_taken_away(refused: Refused) -> None:
    assert refused("~task").startswith("task: missing")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("task.steps=many", "task.steps: expected a whole number, got 'many' (text)"),
        ("task.steps=1.5", "task.steps: expected a whole number, got 1.5 (a number)"),
        ("task.steps=true", "task.steps: expected a whole number, got True (true or false)"),
        ("task.steps=null", "task.steps: expected a whole number, got nothing (null)"),
        ("task.optimizer=3", "task.optimizer: expected a mapping, got 3 (a whole number)"),
        ("env.forward=HOME", "env.forward: expected a list, got 'HOME' (text)"),
        ("debug=maybe", "debug: expected true or false, got 'maybe' (text)"),
        ("env.set=3", "env.set: expected a mapping, got 3 (a whole number)"),
    ],
)
def test_a_value_of_the_wrong_type_is_shown_with_the_right_type_and_where_it_was_typed(
    refused: Refused, override: str, said: str
) -> None:
    assert refused(override) == f"{said}  (command line: {override})"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["task.steps=0"], "task.steps: 0 is less than 1, the least it can be"),
        (["task.optimizer.lr=0"], "task.optimizer.lr: 0.0 must be above 0"),
        (["task.schedule.name=cosin"], "'cosin' is not among cosine, linear, constant. Did you mean 'cosine'?"),
        (["ranks_per_node=2", "task.parallel.tensor=3"], "task.parallel: 2 ranks in all is not a multiple of tensor 3"),
        (["ranks_per_node=0"], "ranks_per_node: 0 is less than 1"),
        (["runtime.nodes=2"], "runtime.nodes: 2, and runtime=direct runs on this machine alone"),
        (["console.ranks=first"], "console.ranks: 'first' is none of: all, none, or ranks with commas between"),
        (["dry_run=yes"], "dry_run: expected true or false, got 'yes'"),
    ],
)
def test_an_impossible_value_is_refused_with_what_is_possible(
    refused: Refused, overrides: list[str], said: str
) -> None:
    assert said in refused(*overrides)


def test_what_was_typed_is_told_for_a_fault_between_values(refused: Refused) -> None:
    assert "(command line: task.parallel.tensor=3)" in refused("ranks_per_node=2", "task.parallel.tensor=3")


def test_every_wrong_value_is_told_at_once(refused: Refused) -> None:
    assert [line.split(":")[0] for line in refused("ranks_per_node=0", "tracking.wait=-1").splitlines()] == [
        "tracking.wait",
        "ranks_per_node",
    ]


def test_a_value_that_the_task_needs_is_asked_for(refused: Refused) -> None:
    assert refused("task=command") == "task.command has no value yet: give it with task.command=…"


def test_an_empty_command_is_refused(refused: Refused) -> None:
    assert refused("task=command", "task.command=[]").startswith("task.command is empty: give a program")


def test_a_word_alone_is_no_override(refused: Refused) -> None:
    assert refused("pretrain") == "'pretrain' is no override: write key=value, or see `primus --help`."


@pytest.mark.parametrize("word", ["task.command=[a", "a=b=c", "task.steps={", "experiment.name=a'b"])
def test_what_hydra_cannot_read_is_shown_with_how_to_quote(refused: Refused, word: str) -> None:
    said = refused(word)
    assert said.startswith(f"Cannot read the override {word!r}: ")
    assert "goes in quotes" in said


def test_several_values_without_a_sweep_are_refused_with_the_ways_out(refused: Refused) -> None:
    said = refused("task.seed=1,2")
    assert "task.seed=1,2" in said
    assert "--multirun" in said


def test_a_misspelt_option_is_refused_before_anything_is_read(refused: Refused) -> None:
    assert refused("--hlep").startswith("There is no option --hlep. Did you mean '--help'?")


def test_one_bad_value_in_a_sweep_starts_none_of_its_jobs(refused: Refused) -> None:
    assert refused("-m", "task.steps=1,2,x").startswith("task.steps: expected a whole number, got 'x'")


def test_a_task_of_primuss_own_is_no_sweep(refused: Refused) -> None:
    assert refused("-m", "task=export", "run=a,b", "to=x.tar.gz").endswith("leave out --multirun")


@pytest.mark.parametrize("parallel", ["0", "some", "true", "1.5"])
def test_a_number_of_jobs_that_is_none_is_refused(refused: Refused, rank: Rank, parallel: str) -> None:
    said = refused("-m", *rank(""), f"hydra.launcher.parallel={parallel}", "env.set.A=1,2")
    assert said.startswith("hydra.launcher.parallel: ")


def test_data_files_that_match_nothing_are_named(refused: Refused, work: Path) -> None:
    assert refused("data.files=texts/*.md") == f"data.files: no file matches 'texts/*.md' (looked in {work})"


@pytest.mark.parametrize("root", ["taken/below", "/proc/primus"])
def test_an_output_root_that_cannot_be_written_is_named(refused: Refused, rank: Rank, work: Path, root: str) -> None:
    (work / "taken").write_text("a file, not a folder")
    said = refused(*rank(""), f"output.root={root}")
    assert said.startswith(f"output.root: cannot write the run directory {Path(work, root)}/default/")


@pytest.mark.parametrize("root", ["taken/below", "/proc/primus"])
def test_an_output_root_that_cannot_be_written_is_named_for_a_sweep(
    refused: Refused, rank: Rank, work: Path, root: str
) -> None:
    (work / "taken").write_text("a file, not a folder")
    said = refused("-m", *rank(""), f"output.root={root}", "env.set.A=1,2")
    assert said.startswith(f"output.root: cannot write {Path(work, root)}/default/")


@pytest.mark.parametrize("name", ["../up", "a/b", "/tmp/x", "..", "", ".hidden", "a b"])
def test_an_experiment_name_is_a_plain_folder_name(refused: Refused, name: str) -> None:
    said = refused(f"experiment.name='{name}'")
    assert said.startswith(f"experiment.name: {name!r} must be a plain folder name")


def test_a_variable_that_is_not_set_cannot_be_forwarded(refused: Refused) -> None:
    assert refused("env.forward=[PRIMUS_NOT_SET]").startswith("env.forward: PRIMUS_NOT_SET is not set in this shell")


def test_a_program_that_is_not_there_is_named(refused: Refused) -> None:
    said = refused("task=command", "task.command=[no-such-program]")
    assert said == "task.command: there is no program 'no-such-program' that can be run"


def test_an_interpreter_that_is_not_there_is_named(refused: Refused) -> None:
    assert refused("backend.python=/no/python") == "backend.python: there is no program '/no/python' that can be run"


def test_a_backend_that_no_interpreter_has_comes_with_the_command_that_sets_it_up(primus: Primus, work: Path) -> None:
    said = primus("backend.setup.python=3.99", "task.steps=3", "backend.setup.directory=here")
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        f"primus: backend=torchtitan: no interpreter has torch, torchtitan: that of Primus itself is Python {own}, "
        "not 3.99, and none has been set up. Mend it with:\n"
        "  primus task=setup backend=torchtitan backend.setup.python=3.99 backend.setup.directory=here\n"
    )
    assert everything(work) == []


def test_a_config_directory_that_is_not_there_is_named(refused: Refused) -> None:
    assert refused("--config-dir", "mine") == "--config-dir mine: there is no such directory"


def test_a_users_own_file_that_is_no_yaml_is_named_with_the_line(refused: Refused, work: Path) -> None:
    (work / "conf/model").mkdir(parents=True)
    (work / "conf/model/bad.yaml").write_text("# Bad.\nname: [\n")
    said = refused("--config-dir", "conf", "model=bad")
    assert "bad.yaml" in said
    assert "line 3" in said


def test_a_users_own_key_that_is_wrong_is_named_with_file_and_line(refused: Refused, work: Path) -> None:
    (work / "conf/data").mkdir(parents=True)
    (work / "conf/data/books.yaml").write_text("# Books.\nname: text\nfiles: null\ntokenizer: [bytes]\nheld_out: 0\n")
    assert refused("--config-dir", "conf", "data=books").endswith("(conf/data/books.yaml:4)")


def test_keys_of_a_users_own_choice_are_known(refused: Refused, work: Path) -> None:
    (work / "conf/task").mkdir(parents=True)
    (work / "conf/task/mine.yaml").write_text("# Mine.\nname: mine\nknobs: 1\n")
    assert "Did you mean 'task.knobs'?" in refused("--config-dir", "conf", "task=mine", "task.knob=1")


def test_a_choice_that_no_module_serves_is_named(refused: Refused, work: Path) -> None:
    (work / "conf/task").mkdir(parents=True)
    (work / "conf/task/mine.yaml").write_text("# Mine.\nname: mine\n")
    assert refused("--config-dir", "conf", "task=mine").startswith("task.name: no module serves the task 'mine'")


@pytest.mark.parametrize(
    "words",
    [
        ("task.no_such_key=1",),
        ("task.steps=x",),
        ("data.files=no/*",),
        ("-m", "task.steps=1,x"),
        ("--hlep",),
        ("replay=nothing",),
    ],
    ids=lambda words: words[-1],
)
def test_the_traceback_is_shown_where_it_is_asked_for(primus: Primus, words: tuple[str, ...]) -> None:
    said = primus(*words, "debug=true")
    assert said.code == 2
    assert said.err.startswith("Traceback (most recent call last):\n")
    assert said.err.splitlines()[-1].startswith("primus: ") or "There are:" in said.err


def test_hydras_own_error_is_in_the_traceback(primus: Primus) -> None:
    assert "hydra.errors.ConfigCompositionException" in primus("task.no_such_key=1", "debug=true").err


@pytest.mark.parametrize(
    "words",
    [
        ("env={set: {HF_TOKEN: hf_very_secret}}",),
        ("-m", "env.set.HF_TOKEN=hf_very_secret'"),
        ("env.set.HF_TOKEN=hf_very_secret", "env.set.HF_TOKEN=hf_very_secret2", "task.steps=x"),
        ("+no.such.key=1", "env.set.HF_TOKEN=hf_very_secret"),
        ("HF_TOKEN=hf_very_secret",),
        ("env.HF_TOKEN=hf_very_secret",),
        ("model=https://me:hf_very_secret@host",),
        ("task.steps=https://me:hf_very_secret@host", "debug=true"),
        ("task.checkpoint.load=https://me:hf_very_secret@host/x",),
        ("replay=https://me:hf_very_secret@host/x",),
        ("data.files=https://me:hf_very_secret@host/x",),
    ],
    ids=lambda words: words[-1],
)
def test_a_secret_that_was_typed_is_not_repeated(primus: Primus, words: tuple[str, ...]) -> None:
    said = primus(*words)
    assert said.code == 2
    assert "hf_very_secret" not in said.out + said.err
