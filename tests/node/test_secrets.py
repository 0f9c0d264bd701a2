"""Which names hold secrets, and what is masked."""

import pytest

from primus.node.secrets import is_secret, redact_url, redactor, worth_masking


@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "WANDB_API_KEY"),
        *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "PGPASSWORD", "MYSQL_PWD"),
        *("github_token", "OPENAI_APIKEY", "TOKEN", "SSH_PASSPHRASE", "GITHUB_PAT", "CLIENT_SECRET"),
    ],
)
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("TOKENIZERS_PARALLELISM", "MAX_TOKENS", "TOKENIZER_PATH", "PWD", "OLDPWD", "KEYBOARD", "MONKEY", "PATH"),
        *("NCCL_DEBUG", "KEY_ORDER", "AUTHOR", "TURKEY"),
    ],
)
def test_names_that_only_look_like_secrets(name):
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("https://user:pass@host/x", "https://***@host/x"),
        ("postgresql://u:p@ss@db:5432/ml", "postgresql://***@db:5432/ml"),
        ("https://ghp_abc@github.com/a.git", "https://***@github.com/a.git"),
        ("https://host/path?mail=a@b.c", "https://host/path?mail=a@b.c"),
        ("see http://a:b@x and http://c:d@y", "see http://***@x and http://***@y"),
        ("me@example.com", "me@example.com"),
    ],
)
def test_credentials_in_urls_are_masked(url, redacted):
    assert redact_url(url) == redacted
    assert redactor([])(url.encode()) == redacted.encode()


def test_the_longest_secret_is_masked_first():
    redact = redactor(worth_masking(["abcd", "abcdefgh"]))
    assert redact(b"abcdefgh abcd abc") == b"*** *** abc"


def test_values_that_would_make_output_unreadable_are_not_searched_for():
    assert worth_masking(["abc", "true", "None", "2048", "auto", ""]) == []
    assert worth_masking(["12345678", "hf_x"]) == ["12345678", "hf_x"]


def test_a_secret_of_several_lines_is_masked_line_by_line():
    redact = redactor(worth_masking(["-----BEGIN KEY-----\nMIIEabc\n-----END KEY-----"]))
    assert redact(b"got MIIEabc here") == b"got *** here"


def test_output_without_secrets_comes_back_as_it_is():
    text = b"step 10 loss 2.5\n"
    assert redactor(["secret"])(text) is text
