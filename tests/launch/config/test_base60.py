"""Times in YAML files are those that were written."""

from pathlib import Path

import pytest
import yaml

from ...conftest import Primus

TIME = "1:30:00"


@pytest.mark.parametrize("written", [TIME, f"'{TIME}'", "90"])
def test_a_time_limit_in_a_file_is_what_was_written(primus: Primus, work: Path, written: str) -> None:
    (work / "conf/runtime").mkdir(parents=True)
    file = f"# @package _global_\ndefaults: [slurm]\nruntime:\n  time: {written}\n"
    (work / "conf/runtime/mine.yaml").write_text(file)
    said = primus("--config-dir", "conf", "runtime=mine", "task=command", "task.command=hostname", "dry_run=true")
    assert (said.code, said.err) == (0, "")
    assert f"#SBATCH --time={written.strip(chr(39))}\n" in said.out


def test_other_numbers_are_numbers_and_what_is_written_is_quoted_for_other_programs() -> None:
    text = "[1:30:00, 1:30.5, 90, 0x10, -1.5]"
    assert yaml.safe_load(text) == ["1:30:00", "1:30.5", 90, 16, -1.5]
    assert yaml.safe_dump([TIME]) == f"- '{TIME}'\n"
