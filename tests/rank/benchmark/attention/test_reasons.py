"""Why a kernel is left out, from PyTorch's warnings; those below were given by torch 2.11 on an H200."""

import warnings

import pytest

from primus.rank.benchmark.attention.reasons import Heard, LeftOut, reasons

HEADS = "For dense input, both fused kernels require query, key and value to have the same num_heads"
GIVEN = (
    "Memory efficient kernel not used because: (Triggered internally at /pytorch/.../sdp_utils.cpp:986.)",
    f"{HEADS}. Query.sizes(): [1, 32, 2048, 128], Key sizes(): [1, 8, 2048, 128], Value sizes(): [1, 8, 2048, 128] "
    "instead. To broadcast dense inputs, try using unsqueeze and expand_to before passing them into the kernel. "
    "(Triggered internally at /pytorch/.../sdp_utils_cpp.h:335.)",
    "Flash attention kernel not used because: (Triggered internally at /pytorch/.../sdp_utils.cpp:988.)",
    "Flash attention has been runtime disabled. (Triggered internally at /pytorch/.../sdp_utils_cpp.h:540.)",
    "cuDNN attention kernel not used because: (Triggered internally at /pytorch/.../sdp_utils.cpp:990.)",
    "cuDNN attention has been runtime disabled. (Triggered internally at /pytorch/.../sdp_utils.cpp:706.)",
)
ERROR = RuntimeError("No available kernel. Aborting execution.\nAnd more")


def refuse(*texts: str) -> None:
    """What PyTorch does where it takes no kernel."""
    for text in texts:
        warnings.warn(text, UserWarning, stacklevel=1)
    raise ERROR


def heard_why(kernel: str, *texts: str) -> str:
    heard = Heard()
    with pytest.raises(RuntimeError), heard.caught():
        refuse(*texts)
    return heard.why(kernel, ERROR)


def test_each_kernel_has_the_reason_below_its_head() -> None:
    assert reasons(GIVEN) == {
        "efficient": [HEADS],
        "flash": ["Flash attention has been runtime disabled"],
        "cudnn": ["cuDNN attention has been runtime disabled"],
    }


@pytest.mark.filterwarnings("error")
def test_the_reason_of_the_kernel_is_told_each_time_and_no_warning_is_left() -> None:
    assert heard_why("efficient", *GIVEN) == heard_why("efficient", *GIVEN) == HEADS


def test_without_warnings_of_it_the_error_says_why() -> None:
    assert heard_why("efficient") == heard_why("math", *GIVEN) == "No available kernel. Aborting execution."


def hear_twice(text: str) -> None:
    """A warning, in two blocks one after the other."""
    for _ in range(2):
        heard = Heard()
        with heard.caught():
            warnings.warn(text, UserWarning, stacklevel=1)
        heard.give_on()


def test_warnings_of_something_else_are_given_on_once() -> None:
    with pytest.warns(UserWarning, match="this is slow") as given:
        hear_twice("this is slow")
    assert len(given) == 1


def test_one_line_tells_of_a_kernel_that_takes_nothing_and_cases_are_named_where_others_were_measured() -> None:
    left_out = LeftOut("cudnn")
    left_out.add("forward at 128 tokens", "no")
    left_out.add("backward at 128 tokens", "no")
    assert [*left_out.lines(2)] == ["WARNING cudnn is left out: no"]
    assert [*left_out.lines(3)] == [
        "WARNING cudnn (forward at 128 tokens, backward at 128 tokens) is left out: no",
    ]
