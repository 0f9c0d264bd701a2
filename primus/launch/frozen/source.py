"""A source tree as git sees it at one moment (tracked, changed, untracked and not ignored), checked out into a store.

Git's plumbing works on a copy of the index and with an object directory of its own: the user's checkout is only read.
Submodules, and checkouts inside the checkout, are taken alike. What git ignores is linked from the original, for data,
environments and built extensions lie there; bytecode is not. Symbolic links stay what they are.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from primus.launch.frozen.git import WAY_OUT, Git
from primus.launch.frozen.store import STORE, making
from primus.launch.problems import BadRequest
from primus.launch.record.files import read_json
from primus.node import rundir

LARGEST = 1 << 30
"""Bytes of untracked files that are copied; more is data that nobody told git to ignore."""

_LISTING = ".files"
_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True)
class _Tree:
    """One checkout. `prefix` is its place in the outermost; `files`: mode and blob by path."""

    git: Git
    prefix: str
    id: str
    files: dict[str, str] = field(repr=False)
    ignored: tuple[str, ...] = ()


def take(root: Path, store: Path, environ: Mapping[str, str]) -> Path:
    """The folder of `store` that holds the source tree `root` as it is now; made unless it is there.

    Raises BadRequest for untracked files that are too large, Unfit where git fails, and OSError.
    """
    with tempfile.TemporaryDirectory(prefix=".taking-", dir=store) as scratch:
        trees = list(_trees(root, "", Path(scratch), store.parent, environ))
        kept = store / _name(trees)
        if not kept.is_dir():
            _make(kept, trees)
        for tree in trees:
            _link_ignored(tree, kept / tree.prefix)
    return kept


def _name(trees: Sequence[_Tree]) -> str:
    """By content, and by where it lay, for the links lead there: `<tree>-<hash of the root and the inner trees>`."""
    more = [str(trees[0].git.root), *(f"{tree.prefix} {tree.id}" for tree in trees[1:])]
    return f"{trees[0].id}-{hashlib.sha256(os.fsencode(chr(0).join(more))).hexdigest()[:8]}"


def _trees(root: Path, prefix: str, scratch: Path, outputs: Path, environ: Mapping[str, str]) -> Iterator[_Tree]:
    """The checkout `root` and those below it. `outputs` is left out, wherever it lies."""
    git = Git(root, scratch / str(sum(1 for _ in scratch.iterdir())), environ)
    outside = _exclusion(git, outputs)
    _refuse_large(git, outside)
    git.run("add", "-A", "--", ":/", *outside)
    tree = git.run("write-tree").strip()
    files = dict(_entry(line) for line in git.run("ls-files", "--stage", "-z").split("\0") if line)
    listed = git.run("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory").split("\0")
    ignored = tuple(name.rstrip("/") for name in listed if name and not _is_left_out(git.root / name, outputs))
    yield _Tree(git, prefix, tree, files, ignored)
    for path, entry in files.items():
        if entry.startswith(_SUBMODULE) and (root / path / ".git").exists():
            yield from _trees(root / path, f"{prefix}{path}/", scratch, outputs, environ)


def _exclusion(git: Git, outputs: Path) -> list[str]:
    """The words that keep the outputs, or at least the store, out of the tree."""
    away = outputs / STORE if outputs == git.root else outputs
    if not away.is_relative_to(git.root):
        return []
    name = str(away.relative_to(git.root))
    if not git.says_no("check-ignore", "--quiet", f"{name}/"):  # ignored, where naming it is an error; or a submodule's
        return []
    return [f":(top,exclude,literal){name}"]


def _is_left_out(path: Path, outputs: Path) -> bool:
    """Whether an ignored path is not even linked: bytecode is of other times, and a link to the outputs is a circle."""
    return path.name == "__pycache__" or path.suffix == ".pyc" or path == outputs or path.is_relative_to(outputs)


def _entry(line: str) -> tuple[str, str]:
    """Path, and mode with blob, of a line `<mode> <blob> <stage>\\t<path>`."""
    facts, _, path = line.partition("\t")
    return path, facts.rpartition(" ")[0]


def _refuse_large(git: Git, outside: Sequence[str]) -> None:
    sizes = {}
    for name in git.run("ls-files", "-z", "--others", "--exclude-standard", "--", ":/", *outside).split("\0"):
        with contextlib.suppress(OSError):  # gone meanwhile
            sizes[name] = (git.root / name).lstat().st_size if name and not name.endswith("/") else 0
    if sum(sizes.values()) > LARGEST:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        named = ", ".join(f"{name} ({sizes[name] / 1e6:,.0f} MB)" for name in largest)
        raise BadRequest(
            f"{git.root} cannot be frozen: {sum(sizes.values()) / 1e9:.1f} GB of it are untracked and not ignored, and "
            f"would be copied: {named}. Name what is data in .gitignore: it is linked then. {WAY_OUT}"
        )


def _make(kept: Path, trees: Sequence[_Tree]) -> None:
    """Check the trees out into `kept`; what the newest other snapshot of them has, becomes a hard link to that."""
    listing = {f"{tree.prefix}{path}": entry for tree in trees for path, entry in tree.files.items()}
    before, had = _newest(kept.parent, trees[0].git.root)
    if _attributes(had) != _attributes(listing):
        had = {}  # the same blob may be another file: line ends, filters
    with making(kept) as part:
        for tree in trees:
            there = {path for path, entry in tree.files.items() if had.get(f"{tree.prefix}{path}") == entry}
            if before:
                there = _hard_links(before / tree.prefix, part / tree.prefix, there)
            anew = [p for p, e in tree.files.items() if p not in there and not e.startswith(_SUBMODULE)]
            words = ("checkout-index", "-z", "--stdin", f"--prefix={part / tree.prefix}/")
            tree.git.run(*words, given="".join(f"{path}\0" for path in anew))
            for path in anew:
                if not tree.files[path].startswith(_LINK):
                    (part / tree.prefix / path).chmod(0o555 if tree.files[path].startswith("100755") else 0o444)
    content = {"root": str(trees[0].git.root), "files": listing}
    rundir.write_text(kept.with_name(kept.name + _LISTING), json.dumps(content))


def _newest(store: Path, root: Path) -> tuple[Path | None, dict[str, str]]:
    """The newest snapshot of `root`, and what it holds; nothing where a new one cannot be made from it."""
    for listing in sorted(store.glob(f"*{_LISTING}"), key=lambda path: -path.stat().st_mtime):
        content, folder = read_json(listing), listing.with_suffix("")
        if content.get("root") == str(root) and folder.is_dir():
            return folder, content["files"]
    return None, {}


def _attributes(files: Mapping[str, str]) -> dict[str, str]:
    return {path: entry for path, entry in files.items() if path.rpartition("/")[2] == ".gitattributes"}


def _hard_links(source: Path, target: Path, paths: set[str]) -> set[str]:
    """Link files of one snapshot into another; returns those for which it could be done."""
    made, folders = set(), set()
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in folders:
            os.makedirs(target / folder, exist_ok=True)
            folders.add(folder)
        try:
            os.link(f"{source}/{path}", f"{target}/{path}", follow_symlinks=False)
        except OSError:  # a file system without them, too many for one file, or somebody tidied up
            continue
        made.add(path)
    return made


def _link_ignored(tree: _Tree, kept: Path) -> None:
    for name in tree.ignored:
        path = kept / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # of an earlier submission
            path.symlink_to(tree.git.root / name)
