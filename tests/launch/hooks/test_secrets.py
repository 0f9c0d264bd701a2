"""What counts as a secret in the text of a hook: what stands there, by the name that it is given or by its form."""

import pytest

from primus.launch.hooks.file import ways
from primus.launch.hooks.secrets import refuse_values
from primus.launch.problems import BadRequest

CLASS = """
class Prepare(Hooks):
    def before_task(self, context):
        {line}
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.sh", "export HF_TOKEN=hf_abcdef"),
        ("a.sh", "export hf_token='hf_abcdef'"),
        ("a.sh", 'echo "env.WANDB_API_KEY=0123456789"'),
        ("a.sh", "hf download x --token=hf_abcdef"),
        ("a.sh", "hf download x --token hf_abcdef"),
        ("a.sh", ": ${HF_TOKEN:-hf_abcdef}"),
        ("a.sh", """curl -d '{"api_key": "0123456789"}' host"""),
        ("a.sh", 'curl -H "Authorization: Bearer hf_abcdef" host'),
        ("a.sh", "git clone https://me:passw0rd@host/x"),
        ("a.sh", "git clone https://ghp_abcdef@github.com/x"),
        ("a.sh", "echo env.URL=https://me:pw@host/"),
        ("a.py", 'os.environ["HF_TOKEN"] = "hf_abcdef"'),
        ("a.py", 'print("env.HF_TOKEN=hf_abcdef")'),
        ("a.py", "# HF_TOKEN=hf_abcdef"),
    ],
)
def test_a_secret_in_the_text_is_refused_since_a_copy_is_kept(name: str, line: str) -> None:
    with pytest.raises(BadRequest, match=rf"{name}:2: .* stands here, .*env\.forward=\[[A-Z_]+\]"):
        ways(f"# first\n{line}\n", name)


@pytest.mark.parametrize(
    "line",
    [
        'context.set_environment("HF_TOKEN", "hf_abcdef")',
        'os.environ.setdefault("hf_token", b"hf_abcdef")',
        'os.environ.update({"WANDB_API_KEY": f"0123456789"})',
        'os.environ.update(HF_TOKEN="hf_abcdef")',
        'token = os.environ.get("HF_TOKEN") or "hf_abcdef"',
        'self.api_key: str = "0123456789"',
        'subprocess.run(["hf", "--token", "hf_abcdef"])',
        'login = lambda password="pass-word": password',
        'request.add_header("Authorization", "Bearer hf_abcdef")',
        'clone("https://me:passw0rd@host/x")',
    ],
)
def test_so_is_one_that_a_class_gives_away(line: str) -> None:
    with pytest.raises(BadRequest, match=r"10_a\.py:4: .* stands here"):
        ways(CLASS.format(line=line), "10_a.py")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.sh", "export HF_TOKEN=$MY_TOKEN"),
        ("a.sh", "export HF_TOKEN=${hf_token:-none}"),
        ("a.sh", 'echo env.HF_TOKEN="$(cat token)"'),
        ("a.sh", "git clone https://$USER:${TOKEN}@host/x ssh://git@host/x"),
        ("a.sh", 'curl -H "Authorization: Bearer $HF_TOKEN" host'),
        ("a.sh", "echo '--token needs a value'; train --token-dispatcher-type=alltoall --eos-token=special"),
        ("a.sh", 'python3 -c "login(token=token, key=args.key)"'),
        ("a.py", "items = sorted(items, key=lambda item: item.name)"),
        ("a.py", 'frame.sort_values(key="loss", text_key="text")'),
        ("a.py", 'HF_TOKEN = os.environ["TOKEN"]'),
        ("a.py", "login(token=token, password=args.password)"),
        ("a.py", 'context.set_environment("HF_TOKEN", os.environ["MY_TOKEN"])'),
        ("a.py", 'print("HF_TOKEN", "unset")'),
        ("a.py", 'names = ("HF_TOKEN", "WANDB_API_KEY")'),
        ("a.py", 'url = f"https://{user}:{token}@host/x"'),
    ],
)
def test_a_secret_that_is_taken_from_elsewhere_is_not(name: str, line: str) -> None:
    assert ways(line, name).phases == ("before",)


def test_the_value_of_a_secret_of_this_shell_is_refused_under_any_name() -> None:
    with pytest.raises(BadRequest, match=r"^a\.sh: the value of MY_TOKEN stands in it, .*env\.forward=\[MY_TOKEN\]"):
        refuse_values("X=12345678\n", "a.sh", {"MY_TOKEN": "12345678"})
    refuse_values("X=$MY_TOKEN\n", "a.sh", {"MY_TOKEN": "12345678"})


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["a", "a-", "a=", "a:", "=", " "])
def test_a_line_without_end_is_read_in_one_go(part: str) -> None:
    assert ways(f"echo {part * 100_000}$x", "a.sh").phases == ("before",)
