"""Compose, then hand on: the one `@hydra.main` of Primus."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import primus
from primus.launch import confidential, elsewhere
from primus.launch.config import catalog, completion, help
from primus.launch.config.arguments import Arguments, tidy
from primus.launch.problems import OK, BadRequest
from primus.launch.replaying import original
from primus.launch.session import Session

_FULL_ERROR = "HYDRA_FULL_ERROR"
_PRINT_CONFIG = {"--cfg", "-c", "--info", "-i"}
"""Options by which Hydra itself prints what it composed, and nothing runs."""


def execute(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code. Raises Complaint for what the user can mend."""
    arguments = tidy(argv)
    for warning in arguments.warnings:
        print(f"primus: {warning}", file=sys.stderr)
    if "--version" in arguments.options:
        print(f"primus {primus.__version__}")
        return OK
    directories = _directories(arguments)
    if {"-sc", "--shell-completion"} & set(arguments.options) and arguments.value("query"):
        offered = completion.choices(os.environ.get("COMP_LINE", ""), directories)
        if offered:
            print("\n".join(offered))
            return OK
    begun = original.named_by(arguments)
    session = Session(directories, begun)
    config_name = original.register(begun, arguments) if begun else "config"
    own = original.own_overrides(begun, arguments)
    if _PRINT_CONFIG & set(own.options):
        own = replace(own, overrides=tuple(map(confidential.printable, own.overrides)))
    with _hydra_surroundings(own.argv, directories), _mode_known(own), elsewhere.checked():
        main = _hydra_main(session, config_name)
        try:
            config = None if arguments.options else _composed_once(config_name, own)
            main(config) if config is not None else main()
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
            from primus.launch.config.explain import explain

            raise explain(error, own.overrides, directories, begun.run.config if begun else None) from error
    return session.end()


def _composed_once(config_name: str, arguments: Arguments) -> DictConfig | None:
    """The config of a plain command, for `@hydra.main` to be called with; None where Hydra itself must take the lead.

    Left alone, Hydra 1.3.8 composes twice, the first time only to learn `hydra.mode`: 70 of the 300 ms of a dry run.
    What it does beyond composing (a launcher, callbacks, a changed directory or environment) it still does whenever the
    config asks for any of it.
    """
    with hydra.initialize_config_dir(str(catalog.conf_dir()), version_base="1.3"):
        config = hydra.compose(config_name, list(arguments.overrides), return_hydra_config=True)
    own = config.hydra
    if own.mode is not None or own.callbacks or own.job.chdir or own.job.env_set or own.searchpath:
        return None
    HydraConfig.instance().set_config(config)  # what `${hydra:...}` in a config refers to
    return config


def _hydra_main(session: Session, config_name: str) -> Callable[..., None]:
    @hydra.main(version_base="1.3", config_path=str(catalog.conf_dir()), config_name=config_name)
    def primus_job(config: Any) -> Any:
        os.environ.pop(_FULL_ERROR, None)  # ours: not for the job to see
        return session.take(config)

    main: Callable[..., None] = primus_job
    return main


@contextlib.contextmanager
def _mode_known(arguments: Arguments) -> Iterator[None]:
    """With --multirun the mode is known. Hydra 1.3.8 composes the config for `hydra.mode` all the same, in 80 ms, and
    all that comes of it is a warning where that says another one."""
    name = Hydra.get_mode.__name__
    before = Hydra.get_mode
    if {"-m", "--multirun"} & set(arguments.options):
        setattr(Hydra, name, lambda self, config_name, overrides: None)
    try:
        yield
    finally:
        setattr(Hydra, name, before)


@contextlib.contextmanager
def _hydra_surroundings(argv: list[str], directories: Sequence[Path]) -> Iterator[None]:
    """Hydra reads `sys.argv`, and hands errors on only where HYDRA_FULL_ERROR is set."""
    before = sys.argv
    OmegaConf.register_new_resolver(
        "primus_help", lambda: help.text(directories).replace("$", "$$"), use_cache=False, replace=True
    )
    sys.argv = [before[0], *argv]
    os.environ[_FULL_ERROR] = "1"
    try:
        yield
    except SystemExit as ended:  # --help, --cfg and --info end so
        if ended.code not in (None, 0):
            raise BadRequest(f"Hydra ended with {ended.code}") from None
    finally:
        sys.argv = before
        os.environ.pop(_FULL_ERROR, None)


def _directories(arguments: Arguments) -> list[Path]:
    """Config directories: the user's, then all others. Raises BadRequest for one that is not there."""
    own = [Path(d).expanduser() for d in arguments.config_dirs]
    for directory in own:
        if not directory.is_dir():
            raise BadRequest(f"--config-dir {directory}: there is no such directory")
    return [*own, *catalog.directories()]
