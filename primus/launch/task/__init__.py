"""The tasks. Each module holds `Settings` (its YAML as a dataclass) and one of two functions:

- `work(task, request, source, place) -> Work`: a job to be planned, started on nodes and recorded;
- `act(task, request) -> int`: something that Primus itself does, where the user types; returns the exit code.

A job whose ranks leave rows of results holds beside `work` their columns: see primus.launch.results.

One that is planned like a job and run otherwise holds beside `work`: `adapted(plan, place) -> Plan`, and `single` as
that of a runtime.
"""

from dataclasses import dataclass, field

from primus.node.plan import File, Note


@dataclass(frozen=True)
class Work:
    """What a task asks of each node: the rank's command, files beside the plan, environment, parallel degrees.

    `environment` is that of the backend, by `backend.environment`; `ranks_per_node` what the user may set otherwise
    (None: one per GPU); `notes` are for people. `checks`: what the nodes check before; without a command that is all.
    `decided`: as the plan has it.
    """

    command: tuple[str, ...]
    backend: str = ""
    files: tuple[File, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    parallel: dict[str, int] = field(default_factory=dict)
    ranks_per_node: int | None = None
    notes: tuple[Note, ...] = ()
    checks: str | None = None
    decided: dict[str, str] = field(default_factory=dict)
