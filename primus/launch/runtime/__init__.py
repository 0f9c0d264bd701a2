"""Where a job runs. Each module holds

- `Settings`: its YAML as a dataclass, with `nodes`, and with `frozen` where jobs wait: whether they run from a snapshot
  of the code (`primus.launch.frozen`), in which `place` then stands below;
- `command(settings, place) -> tuple[str, ...]`: the outermost command, `{primus.run_dir}` being the run directory;
- `files(settings, job, directory, place) -> tuple[File, ...]`, where it needs some: a batch script, say;
- `single(plan, request, place, secrets, original) -> Ended` for a job that is no child: else `run.single`;
- `sweep_files(directory, plans, request, place, secrets) -> tuple[File, ...]`, where a sweep has some beside those of
  its jobs, relative to its directory; pure;
- `sweep_command(settings, sweep) -> tuple[str, ...]`, where it has `sweep`: what starts all jobs of that directory;
- `sweep(directory, plans, request, place, secrets, parallel, original) -> Ended`, likewise: else `sweep.run`.
"""
