"""A recorded run is found by whatever names it, and read whole or refused by the file that is wrong."""

import json
import shutil
from pathlib import Path

import pytest

from primus.launch.problems import BadRequest
from primus.launch.replaying import archive, finding
from primus.launch.replaying.finding import SavedRun


def find(word: str | Path, offline: bool = False) -> SavedRun:
    return finding.find("replay", str(word), "outputs", None, offline)


def refusal(word: str | Path, offline: bool = False) -> str:
    with pytest.raises(BadRequest) as refused:
        find(word, offline)
    return str(refused.value)


def write_record(run: Path, run_id: str) -> None:
    (run / "record.json").write_text(json.dumps({"run_id": run_id, "experiment_id": "1", "tracking_uri": "sqlite://"}))


def test_by_its_directory_from_anywhere(recorded: Path) -> None:
    for word in (recorded, recorded.relative_to(Path.cwd()), f"{recorded}/"):
        run = find(word)
        assert (run.run_id, run.directory) == (recorded.name, recorded)
        assert run.config["task"]["name"] == "command"
        assert run.result
        assert run.result["status"] == "FINISHED"
        assert len(run.nodes) == 1


def test_by_its_run_id_under_the_output_root(recorded: Path) -> None:
    assert find(recorded.name).directory == recorded


def test_by_the_id_of_its_mlflow_run_which_its_record_tells(recorded: Path) -> None:
    write_record(recorded, "0123456789abcdef0123456789abcdef")
    assert find("0123456789abcdef0123456789abcdef").directory == recorded


def test_another_value_in_a_record_is_no_id(recorded: Path) -> None:
    write_record(recorded, "0123456789abcdef0123456789abcdef")
    assert refusal("1", offline=True).startswith("replay=1: not under outputs/")


def test_a_job_of_a_sweep_by_its_directory_or_by_sweep_and_number(recorded: Path) -> None:
    sweep = recorded.with_name("20261121-000000-aaaaaa")
    shutil.copytree(recorded, sweep / "1")
    (sweep / "sweep.json").write_text("{}")
    assert find(sweep / "1").directory == sweep / "1"
    assert find(f"{sweep.name}/1").directory == sweep / "1"


def test_a_sweep_is_no_run_but_its_jobs_are(recorded: Path) -> None:
    (recorded / "sweep.json").write_text("{}")
    assert refusal(recorded) == f"{recorded} is a sweep: name one of its jobs, such as {recorded}/0"


@pytest.mark.parametrize("ending", archive.ENDINGS)
def test_by_the_file_it_was_exported_to(recorded: Path, ending: str) -> None:
    to = Path(f"run{ending}")
    archive.pack(recorded, to, everything=False)
    run, original = find(to), find(recorded)
    assert (run.directory, run.where) == (None, str(to))
    assert (run.plan, run.config, run.nodes, run.result) == (
        original.plan,
        original.config,
        original.nodes,
        original.result,
    )


@pytest.mark.parametrize("word", ["outputs/default/nothing", "nothing.tar.gz"])
def test_a_path_to_nothing_is_refused(work: Path, word: str) -> None:
    assert refusal(word) == f"replay={word}: there is no such run directory or file."


def test_an_id_that_nobody_knows_is_refused_with_the_places_that_were_looked_at(work: Path) -> None:
    said = refusal("0123456789abcdef")
    assert said == (
        f"replay=0123456789abcdef: no run of that id under outputs/, nor in MLflow at sqlite:///{work}/outputs/mlflow.db."
    )


def test_looking_for_a_run_leaves_nothing_behind(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    refusal("0123456789abcdef")
    assert [*work.iterdir(), *(tmp_path / "temporary").iterdir()] == []


def test_a_dry_run_asks_no_server(work: Path) -> None:
    assert "a dry run opens no connection" in refusal("0123456789abcdef", offline=True)


def test_a_run_that_has_not_ended_can_be_read(recorded: Path) -> None:
    (recorded / "result.json").unlink()
    assert find(recorded).result is None


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("plan.json", None, "missing"),
        ("plan.json", "", "Expecting value"),
        ("plan.json", '{"schema": 7}', "plan schema 7, this Primus reads 1"),
        ("plan.json", '{"schema": 1}', "run_id: missing"),
        ("config.yaml", None, "missing"),
        ("config.yaml", "a: [", "while parsing"),
        ("config.yaml", "- a", "not a mapping"),
        ("nodes/0.json", "{", "Expecting property name"),
        ("nodes/0.json", "[" * 100_000, "nested too deeply"),
        ("result.json", "{'", "Expecting property name"),
        ("result.json", b"\xff\xfe", "can't decode"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_a_damaged_run_is_refused_by_the_file_that_is_damaged(
    recorded: Path, name: str, text: str | bytes | None, why: str
) -> None:
    file = recorded / name
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    said = refusal(recorded)
    assert said.startswith(f"{recorded} is no run that can be read: {name}: ")
    assert why in said


def test_an_empty_directory_is_no_run(work: Path) -> None:
    (work / "empty").mkdir()
    assert refusal("empty") == f"{work}/empty is no run that can be read: plan.json: missing"
