"""Megatron's own argument parser: the names that it knows, and command lines from values by these names."""

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from megatron.training.arguments import add_megatron_arguments

from primus.node.typed import closest
from primus.rank import extra
from primus.rank.problems import Refused


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(f"{extra.keys()}: Megatron: {message}")  # without the usage: 800 options


class Options:
    """What `megatron.training.arguments` declares. An argument goes by its `dest`: `num_layers`, `bias_swiglu_fusion`.

    Several options may set one argument, and a switch may set it to false: `--no-bias-swiglu-fusion`.
    """

    def __init__(self) -> None:
        self._parser = _Parser(allow_abbrev=False, add_help=False)
        add_megatron_arguments(self._parser)
        self._by_argument: dict[str, list[argparse.Action]] = {}
        self._by_option: dict[str, argparse.Action] = {}
        for action in self._parser._actions:
            self._by_argument.setdefault(action.dest, []).append(action)
            self._by_option.update({_name(option): action for option in action.option_strings})

    def named(self, given: dict[str, Any]) -> dict[str, Any]:
        """The values of `backend.args` by argument. A key is an argument or an option, with _ or -.

        Raises Refused for one that Megatron does not have.
        """
        values: dict[str, Any] = {}
        for key, value in given.items():
            name = _name(key)
            if isinstance(value, dict) or (name not in self._by_argument and name not in self._by_option):
                full = f"{key}.{next(iter(value), '')}" if isinstance(value, dict) else key
                near = closest(name, [*self._by_argument, *self._by_option])
                raise Refused(f"{extra.key(full)}: Megatron has no such option.{near}")
            action = self._by_option.get(name)
            if name in self._by_argument or action is None:
                values[name] = value
            elif action.nargs == 0 and isinstance(value, bool):
                values[action.dest] = action.const if value else not action.const
            else:
                values[action.dest] = value
        return values

    def command_line(self, values: dict[str, Any]) -> list[str]:
        """The options that give the arguments these values; None is Megatron's own. Raises Refused where none does."""
        words = [word for name, value in values.items() if value is not None for word in self._words(name, value)]
        try:
            self._parser.parse_args(words)
        except KeyError as error:  # of an enumeration's type, which argparse lets pass
            raise Refused(f"{extra.keys()}: Megatron knows no choice {error}") from None
        return words

    def _words(self, name: str, value: Any) -> Iterable[str]:
        for action in self._by_argument[name]:
            option = action.option_strings[0]
            if action.nargs == 0:
                if action.const == value:
                    return [option]
            elif isinstance(value, list | tuple):
                return [option, *map(str, value)]
            else:
                return [f"{option}={value}"]
        if value in (action.default or False for action in self._by_argument[name]):
            return []
        raise Refused(f"{extra.key(name)}: Megatron has no option that sets it to {value!r}")


def _name(option: str) -> str:
    return option.lstrip("-").replace("-", "_")
