"""What a Slurm task knows about its job."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from primus.node.allocation import Allocation, expand, of_slurm

TASK = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NUM_NODES": "3",
    "SLURM_JOB_NODELIST": "gpu[08-10]",
    "SLURM_NODEID": "2",
}


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("a", "a"),
        ("a,b-1.example,c", "a b-1.example c"),
        ("a[01-03,7],b,c[1-2]-x[3-4]", "a01 a02 a03 a7 b c1-x3 c1-x4 c2-x3 c2-x4"),
        ("n[8-11]", "n8 n9 n10 n11"),
        ("n[098-101]", "n098 n099 n100 n101"),
        ("n[9]", "n9"),
        ("[1-2]", "1 2"),
        ("r[1-2]n[1,3]", "r1n1 r1n3 r2n1 r2n3"),
    ],
)
def test_a_host_list_is_expanded_in_its_order(text, hosts):
    assert expand(text) == tuple(hosts.split())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty name"),
        ("a,,b", "empty name"),
        ("a[1-2", "does not end"),
        ("a]1", "bracket too many"),
        ("a[[1]]", "bracket too many"),
        ("a[]", "not made of numbers"),
        ("a[x-z]", "not made of numbers"),
        ("a[3-1]", "no range"),
        ("a[0-9999999999]", "no range"),
        ("a[1-60000]b[1-60000]", "more than"),
    ],
)
def test_what_is_no_host_list_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        expand(text)


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,6}[a-z]", fullmatch=True)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A bracket, and what it stands for."""
    parts, values = [], []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, 120))
        last = first + draw(st.integers(0, 12))
        width = draw(st.integers(len(str(first)), 4))
        parts.append(f"{first:0{width}d}" + (f"-{last:0{width}d}" if last > first else ""))
        values += [f"{value:0{width}d}" for value in range(first, last + 1)]
    return f"[{','.join(parts)}]", values


@given(st.lists(st.tuples(NAMES, st.none() | ranges(), st.none() | ranges()), min_size=1, max_size=4))
def test_every_word_of_a_list_gives_all_of_its_names_in_order(words):
    text, hosts = [], []
    for name, first, second in words:
        (one, values), (two, tails) = first or ("", [""]), second or ("", [""])
        text.append(f"{name}{one}x{two}")
        hosts += [f"{name}{value}x{tail}" for value in values for tail in tails]
    assert expand(",".join(text)) == tuple(hosts)


@given(st.text(alphabet="ab01-,[]", max_size=12))
def test_any_other_text_is_refused_or_gives_names(text):
    try:
        hosts = expand(text)
    except ValueError:
        return
    assert all(hosts)
    assert not any(set(host) & set("[],") for host in hosts)


@pytest.mark.slurm
@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(NAMES, ranges(), ranges()), min_size=1, max_size=3))
def test_slurm_expands_it_alike(slurm_cluster, words):
    text = ",".join(f"{name}{first}x{second}" for name, (first, _), (second, _) in words)
    assert expand(text) == tuple(slurm_cluster.ask("scontrol", "show", "hostnames", text).split())


def test_a_task_knows_its_place():
    assert of_slurm(TASK, 3) == Allocation(2, ("gpu08", "gpu09", "gpu10"), "4711", 0)


def test_elements_of_an_array_and_later_starts_are_told_apart():
    element = {**TASK, "SLURM_ARRAY_JOB_ID": "4700", "SLURM_ARRAY_TASK_ID": "11", "SLURM_RESTART_COUNT": "2"}
    found = of_slurm(element, 3)
    assert (found.key, found.restart) == ("4700_11", 2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"SLURM_JOB_NUM_NODES": "2"}, "Slurm has given this job 2 nodes .*and the plan is for 3"),
        ({"SLURM_JOB_NUM_NODES": ""}, "SLURM_JOB_NUM_NODES is not set: this is no task of a Slurm job"),
        ({"SLURM_NODEID": "x"}, "SLURM_NODEID=x is not a number"),
        ({"SLURM_NODEID": "3"}, "SLURM_NODEID=3 is not among the 3 nodes of this job"),
        ({"SLURM_JOB_NODELIST": "gpu[08-09]"}, "names 2 nodes, SLURM_JOB_NUM_NODES is 3"),
        ({"SLURM_JOB_ID": ""}, "SLURM_JOB_ID is not set"),
    ],
)
def test_what_does_not_fit_is_named(change, why):
    with pytest.raises(ValueError, match=why):
        of_slurm({**TASK, **change}, 3)
